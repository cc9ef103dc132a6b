"""A naive version of each rule (design: data's way, ingest, book and gaps), and the test that guards it."""

from typing import NamedTuple


class Mutant(NamedTuple):
    """*old*, once in *file*, becomes *new*; *test* has to fail then."""

    rule: str
    file: str
    old: str
    new: str
    test: str


UNIT = "tests/unit"

MUTANTS = (
    Mutant(
        "each update id is taken once",
        "book/sync.py",
        "fits = update.first_id <= next_id <= update.last_id < next_id + LEAP",
        "fits = update.last_id < next_id + LEAP",
        f"{UNIT}/book/test_sync.py::test_the_simple_next_update_is_taken_at_once_and_anything_else_is_not",
    ),
    Mutant(
        "what lies inside an update is old only once that was applied",
        "book/joined.py",
        "if ready and update.last_id <= sync.last_id and update.last_id != ready[-1].last_id:",
        "if False:",
        f"{UNIT}/book/test_absurd.py"
        "::test_one_that_reaches_over_those_that_follow_and_is_no_update_keeps_none_away",
    ),
    Mutant(
        "updates of an audit that is on its way are kept for it",
        "book/joined.py",
        "        if auditor.fresh is not None or auditor.is_on_its_way:\n            return None\n",
        "",
        f"{UNIT}/book/test_together.py::test_so_do_jumps_wrong_clocks_finer_prices_and_crossing_ones",
    ),
    Mutant(
        "a security sees a tick before what comes after it",
        "book/maintainer.py",
        "            yield from self._ticked([name for name in self._late if name in concerned])\n",
        "            yield from ()\n",
        f"{UNIT}/book/test_together.py::test_a_tick_that_the_securities_see_by_and_by_comes_to_the_same",
    ),
    Mutant(
        "a round of checkpoints was searched for securities up to where its taking began",
        "book/checkpoint.py",
        "tuple(buckets), dict(read), dict(done)",
        "tuple(buckets), read, dict(done)",
        f"{UNIT}/book/test_keeping.py::test_a_round_taken_by_and_by_goes_on_as_if_nothing_had_been",
    ),
    Mutant(
        "a group is checked before it is passed over as given before",
        "journal/reader.py",
        "if header.next > self.position or not is_right(data):",
        "if header.next > self.position:",
        f"{UNIT}/journal/test_reader.py::test_a_header_that_says_its_group_was_given_before_hides_nothing",
    ),
    Mutant(
        "what is told of a security is looked at anew after a record that concerned it",
        "book/telling.py",
        "            self._looks.pop(name, None)\n",
        "            pass\n",
        f"{UNIT}/book/test_telling.py::test_what_was_looked_at_before_is_what_a_fresh_look_says",
    ),
    Mutant(
        "each trade id is taken once",
        "book/tape.py",
        "if known or one.id <= (self.last_id or 0):",
        "if known:",
        f"{UNIT}/book/test_security.py::test_trades_come_once_in_order_whatever_the_book_does",
    ),
    Mutant(
        "a group is in the journal before it is published",
        "ingest/recorder.py",
        "            data = self._writer.append(kind, rows)\n",
        "            from journal.group import pack_group\n"
        "            at = self._writer.next_position, self._writer.clock_ns()\n"
        "            self._publisher.send(pack_group(self._writer.line, kind, *at, rows), zmq.NOBLOCK)\n"
        "            data = self._writer.append(kind, rows)\n",
        f"{UNIT}/ingest/test_recorder.py::test_what_the_journal_did_not_take_is_not_published",
    ),
    Mutant(
        "what the disk refused was not recorded",
        "journal/writer.py",
        "            self._take_back()\n"
        '            raise DiskRefused(f"the journal cannot be written: {error}") from error\n',
        "            self._take_back()\n            del error\n",
        f"{UNIT}/journal/test_writer.py::test_of_a_group_that_the_disk_refused_nothing_counts",
    ),
    Mutant(
        "one process writes a journal",
        "journal/writer.py",
        "fcntl.LOCK_EX | fcntl.LOCK_NB",
        "fcntl.LOCK_SH | fcntl.LOCK_NB",
        f"{UNIT}/journal/test_writer.py::test_a_second_writer_is_refused_until_the_first_closes",
    ),
    Mutant(
        "a torn tail is cut at the start",
        "journal/writer.py",
        "end, size = good_end(file), os.fstat(file).st_size",
        "end, size = os.fstat(file).st_size, os.fstat(file).st_size",
        f"{UNIT}/journal/test_writer.py::test_a_torn_tail_is_cut_and_the_new_epoch_says_how_much",
    ),
    Mutant(
        "a journal is dropped only before what is needed",
        "journal/writer.py",
        "if next_first > position or next_created_ns > keep_after_ns:",
        "if next_created_ns > keep_after_ns:",
        f"{UNIT}/journal/test_dropping.py::test_only_what_is_neither_needed_nor_young_is_dropped",
    ),
    Mutant(
        "an epoch is read to its end before the next",
        "journal/follow.py",
        "return group.first <= self.position < group.next_position",
        "return self.position < group.next_position",
        f"{UNIT}/journal/test_follow.py::test_live_another_epoch_waits_until_the_files_lead_into_it",
    ),
    Mutant(
        "the lines are merged by clock, not as they come",
        "book/merge.py",
        "if earliest_ns < clock_ns or (is_before and earliest_ns == clock_ns):",
        "if clock_ns < 0:",
        f"{UNIT}/book/test_merge.py::test_the_order_does_not_depend_on_how_the_groups_arrive",
    ),
    Mutant(
        "an id is missing only when no open connection may bring it",
        "book/sync.py",
        "        if self.connections.all_past(self.last_id):\n            return True\n",
        "        if self._kept:\n            return True\n",
        f"{UNIT}/book/test_sync.py::test_ids_are_not_missing_while_another_open_connection_may_bring_them",
    ),
    Mutant(
        "a closed connection is not waited for",
        "book/sync.py",
        "        self._source = Source(line, position >> POSITION_BITS, connection)\n",
        "        self._source = Source(line, position >> POSITION_BITS, connection)\n"
        "        self.connections.brought(line, connection, last_id)\n",
        f"{UNIT}/book/test_sync.py::"
        "test_nothing_is_waited_for_from_a_closed_connection_whose_kept_updates_join_a_snapshot",
    ),
    Mutant(
        "a base that updates on their way will join stays",
        "book/sync.py",
        "is_joining = self.state is State.BASED and not self._kept and self.connections.have_brought",
        "is_joining = False",
        f"{UNIT}/book/test_sync.py::"
        "test_a_later_snapshot_does_not_replace_a_base_whose_updates_are_on_their_way",
    ),
    Mutant(
        "a snapshot counts at its update id",
        "book/sync.py",
        "        self.state = State.BASED\n        self.last_id = snapshot_id\n",
        "        self.state = State.BASED\n"
        "        self.last_id = self._kept[-1].last_id if self._kept else snapshot_id\n",
        f"{UNIT}/book/test_sync.py::test_updates_before_a_snapshot_are_kept_and_join_it",
    ),
    Mutant(
        "our own downtime is a row",
        "book/bookfeed.py",
        "        if self.last_id is not None:\n"
        "            start_ns = self.recording.window_of(self.recording.clock.last_ns or 0)\n"
        "            self.ledger.open(",
        '        if self.last_id is not None and cause != "own_restart":\n'
        "            start_ns = self.recording.window_of(self.recording.clock.last_ns or 0)\n"
        "            self.ledger.open(",
        f"{UNIT}/book/test_security.py::test_a_restart_of_the_line_is_a_hole_of_our_own_making",
    ),
    Mutant(
        "a trade that comes late heals its row",
        "book/trades.py",
        "if taken and self.healing.concerns(min(each.id for each in taken)):",
        "if not taken:",
        f"{UNIT}/book/test_healing.py::test_a_trade_of_the_stream_that_comes_too_late_heals_its_row",
    ),
    Mutant(
        "effective time never falls",
        "book/clock.py",
        "            elif time_ns > last:\n",
        "            else:\n",
        f"{UNIT}/book/test_clock.py",
    ),
    Mutant(
        "an exchange time that both neighbours contradict is replaced",
        "book/clock.py",
        "        if after_ns is not None and time_ns > after_ns + AHEAD_NS:\n            return False\n",
        "",
        f"{UNIT}/book/test_clock.py",
    ),
    Mutant(
        "an absurd exchange time that nobody contradicts is replaced",
        "book/clock.py",
        "if time_ns // AHEAD_NS <= recv_ns // AHEAD_NS + 1:",
        "if time_ns:",
        f"{UNIT}/book/test_absurd.py",
    ),
    Mutant(
        "a single id far beyond all others is refused",
        "venue/leap.py",
        "return last_id > (FIRST if reached is None else reached + LEAP)",
        "return False",
        f"{UNIT}/book/test_absurd.py",
    ),
    Mutant(
        "a start goes from a checkpoint that is not past done",
        "book/checkpoint.py",
        "if entry.security == security and not_past(entry.positions, done)",
        "if entry.security == security",
        f"{UNIT}/book/test_checkpoint.py::test_a_folder_gives_the_newest_state_not_past_done",
    ),
    Mutant(
        "what the older of two checkpoints needs is kept",
        "book/checkpoint.py",
        "return stored[-2] if len(stored) > 1 else born",
        "return stored[-1] if stored else born",
        f"{UNIT}/book/test_checkpoint.py",
    ),
    Mutant(
        "where no checkpoint is readable the hole is a row",
        "book/joined.py",
        '            self._is_bare = False\n            self.stop(Stopped("disk", []))\n',
        "            self._is_bare = False\n",
        f"{UNIT}/book/test_bare.py",
    ),
    Mutant(
        "a newer run forgets the old one's open windows",
        "condition/conditioner.py",
        "        self.windows = {}\n        self.progress.begin(message.marks)\n",
        "        self.progress.begin(message.marks)\n",
        f"{UNIT}/condition/test_conditioner.py::test_a_newer_run_forgets_the_old_ones_open_windows",
    ),
    Mutant(
        "a run without a number is asked for anew",
        "condition/conditioner.py",
        "message.number == security.next_number",
        "message.number >= security.next_number",
        f"{UNIT}/condition/test_conditioner.py"
        "::test_a_skipped_number_asks_once_for_a_new_run_and_takes_nothing_until_it_begins",
    ),
    Mutant(
        "done goes only past windows that are final and stored",
        "condition/progress.py",
        "for before in (*self._windows.values(), *(held.before for held in self._documents.values())):",
        "for before in (held.before for held in self._documents.values()):",
        f"{UNIT}/condition/test_restart.py::test_done_never_passes_a_record_that_is_not_stored_for_good",
    ),
    Mutant(
        "a block leaves when its records are synced",
        "condition/outbox.py",
        "if each.heard_ns is None and self._is_synced(each.needs):",
        "if each.heard_ns is None:",
        f"{UNIT}/condition/test_outbox.py::test_a_document_waits_until_every_record_in_it_is_synced",
    ),
    Mutant(
        "what nobody names for ten seconds is sent again",
        "condition/outbox.py",
        "if each.heard_ns is not None and now_ns - each.heard_ns >= RESEND_NS:",
        "if each.heard_ns is not None and now_ns < 0:",
        f"{UNIT}/condition/test_outbox.py::test_what_was_sent_is_not_due_until_nobody_named_it_for_ten_seconds",
    ),
    Mutant(
        "nothing is netted across a hole",
        "condition/netting.py",
        "begins = starts.copy()",
        "begins = np.zeros_like(starts)",
        f"{UNIT}/condition/test_netting.py::test_nothing_is_netted_across_a_chain",
    ),
    Mutant(
        "a document is replaced only by one that covers more",
        "store/writer.py",
        '        "covered": {"$lt": document.covered},\n',
        "",
        f"{UNIT}/store/test_writer.py::test_versions_may_come_in_any_order_and_the_one_that_covers_most_stays",
    ),
    Mutant(
        "one database takes one recorder of a security",
        "store/writer.py",
        "                return False  # (had another writer",
        "                pass  # (had another writer",
        f"{UNIT}/store/test_writer.py::test_a_security_of_another_recorder_is_refused_and_the_others_are_not",
    ),
    Mutant(
        "a rotation makes before it breaks",
        "ingest/shard.py",
        "        oldest = self.links[0]\n        if not newest",
        "        oldest = self.links[0]\n        if now:\n            return True\n        if not newest",
        f"{UNIT}/ingest/test_session.py::test_rotation_makes_before_it_breaks",
    ),
    Mutant(
        "a 429 closes the REST interface for as long as it says",
        "ingest/budget.py",
        "self._closed_until = max(self._closed_until, now + wait)",
        "self._closed_until = max(self._closed_until, now)",
        f"{UNIT}/ingest/test_budget.py::test_retry_after_closes_it_for_that_long_even_when_it_would_have_filled",
    ),
    Mutant(
        "a stored block gives the compiled loops nothing that they cannot bear",
        "store/order_fold.py",
        "if ((column < 0) | (column >= len(known))).any():",
        "if (column < 0).any():",
        f"{UNIT}/store/test_order_fold.py::test_events_that_no_venue_sends_are_damage_and_nothing_worse",
    ),
    Mutant(
        "an export holds a few windows at once",
        "store/exporting.py",
        "    for answer in answers:",
        "    for answer in list(answers):",
        f"{UNIT}/store/test_bounded.py::test_an_export_writes_what_it_is_given_before_it_asks_for_more",
    ),
    Mutant(
        "an order without its id keeps one name until it is done",
        "book/naming.py",
        "            if kind == OrderKind.DONE:\n                self._names.pop(order_id, None)\n",
        "            if kind == OrderKind.MATCH:\n                self._names.pop(order_id, None)\n",
        f"{UNIT}/book/test_naming.py::test_an_order_has_one_name_until_it_is_done_and_no_other_order_has_it",
    ),
    Mutant(
        "order ids and names do not meet in one book",
        "book/bookfeed.py",
        "if self.book.enter(policy, last_id or 0) and recording.feed:",
        "if self.book.enter(policy, last_id or 0) and recording.feed != self.book.feed:",
        f"{UNIT}/book/test_orderflow.py"
        "::test_ids_are_given_up_and_kept_again_from_the_windows_that_the_policies_name",
    ),
    Mutant(
        "blocks with order ids and without are not merged into one",
        "store/compaction.py",
        "block.has_ids, *scales, block.order_ids)",
        "block.has_ids, *scales)",
        f"{UNIT}/store/test_compaction.py::test_blocks_with_order_ids_and_without_stay_apart",
    ),
    Mutant(
        "an order that is done is no longer counted among those alive",
        "condition/recency.py",
        "            alive.pop(-back)\n",
        "            alive.pop()\n",
        f"{UNIT}/condition/test_recency.py::test_orders_are_found_again_by_how_many_alive_came_after_them",
    ),
    Mutant(
        "what was merged is kept before the small blocks go",
        "store/compaction.py",
        "            self._put(new)\n            self._delete(security, kind, gone)\n",
        "            self._delete(security, kind, gone)\n            self._put(new)\n",
        "tests/system/test_compacting.py"
        "::test_readers_take_each_id_once_and_the_next_pass_removes_the_rest[0]",
    ),
    Mutant(
        "what came late is merged with the next old span",
        "store/compact.py",
        "seen.end_ns - LATE_S * NS_PER_S",
        "seen.end_ns",
        f"{UNIT}/store/test_passes.py::test_what_came_late_is_merged_with_the_next_old_span_or_within_a_day",
    ),
    Mutant(
        "a security is not asked for before it can have an old span",
        "store/due.py",
        "kept[name].due_s <= now_s",
        "kept[name].due_s >= 0",
        f"{UNIT}/store/test_passes.py::test_a_security_with_nothing_old_is_asked_for_once",
    ),
    Mutant(
        "a feed that goes on is looked at as soon as a span of it can be old",
        "store/due.py",
        "return min(AGAIN_S, max(0, lacks_ns) / NS_PER_S)",
        "return AGAIN_S",
        f"{UNIT}/store/test_due.py::test_a_feed_that_went_on_is_left_alone_exactly_while_it_can_have_nothing_old",
    ),
    Mutant(
        "what is not kept is remembered, so that no rebuild brings it back",
        "store/retention.py",
        "        if not dry_run:\n            _remember(",
        "        if dry_run:\n            _remember(",
        f"{UNIT}/store/test_rebuild.py::test_what_is_no_longer_kept_is_not_made_anew",
    ),
    Mutant(
        "a ledger row and a block of one id do not take each other's place",
        "wire/messages.py",
        'return f"gaps/{self.id}" if self.collection == "gaps" else self.id',
        "return self.id",
        f"{UNIT}/condition/test_conditioner.py::test_a_ledger_row_and_a_block_of_one_id_are_two_documents",
    ),
    Mutant(
        "levels are compared only where both books vouch for them",
        "book/compare.py",
        "asks = keys >= 0 if high is None else (keys >= 0) & (keys <= high)",
        "asks = keys >= 0",
        f"{UNIT}/book/test_audit.py::test_what_the_snapshot_knows_beyond_widens_the_book_with_a_new_image",
    ),
)
