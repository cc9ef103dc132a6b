"""Records one line of a venue: journals what it sends, then publishes it; decodes only routes and ids.

What stands in a line's journal, and in which order:

record                what a reader can rely on
EPOCH                 the first of every epoch; connections of the epoch before are closed by it
COMMAND add           follows EPOCH at once for every security that the journal had added before, with
                      the same ``since_ns`` where the same recording goes on (feed and policies again)
COMMAND add           of a new security: once the venue lists the symbol, or after 3 s on trust
REST instrument       after the ``add`` of its securities; under the security, or under all of the line
                      where it concerns several; again each hour
CONNECTION open       before the first frame of that connection
FRAME                 verbatim, in order of arrival per connection and security; a frame that cannot be
                      routed, an ack and an error under all of the line
REST depth            any status, and any body: the reader decodes it again.  The session asks again
                      until one joins (``ingest.snapshots``)
COMMAND snapshot      before the body that it asks for
CONNECTION closed     after the last frame of that connection
COMMAND remove        ends an ``add``; frames that were on their way may still follow it
TICK                  each second, whatever else happens
"""
