"""Two exchanges on loopback: Binance's and Coinbase's protocols, without internet.

The market is either made up (``market``: a seeded flow of orders into a matching engine that knows the
true book and trades of every past moment) or a recording (``replay``: the captures of
``../shared/captures``), or, for benchmarks, frames made in advance (``firehose``).

module                               shape
queues engine flow market history    pure: the synthetic exchange and its truth
binance_source coinbase_source       pure: what its streams and REST bodies say, as bytes
replay firehose                      pure: the same interface from a recording or from templates
binance_rules coinbase_rules limits  pure: control messages, authentication, rate limits
hub connection *_server control      shells: sockets and the clock (aiohttp)

``python -m tests.simulator --help`` tells the options.
"""
