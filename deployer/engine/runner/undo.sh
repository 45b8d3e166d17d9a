# Undo what the journal says was done, in reverse order, and nothing from memory: a run that died is undone the same way.
# An undo that fails does not stop the others.

_undo_all() {
	_remains=''
	_i=$_STEPS
	while [ "$_i" -gt 0 ]; do
		_i=$((_i - 1))
		eval "_s=\${_s$_i-} _o=\${_o$_i-} _f=\${_f$_i-}"
		eval "_kind=\$_kind$_i _cmd=\$_undo$_i _acts=\$_acts$_i _back=\$_undo_acts$_i _timeout=\$_timeout$_i"
		eval "_look_for=\$_undo_check$_i _patience=\$_undo_timeout$_i _undoable=\$_undoable$_i _label=\$_name$_i"
		case $_s in
		'' | undone) ;;
		undo_failed) _remains="$_remains $_label" ;;
		*) _undo_step ;;
		esac
	done
}

# Whether there is anything to undo: a command that reported failure is believed.
_has_effect() {
	case $_kind in
	prepare | upload | unpack | pull | check) return 1 ;;
	hook)
		[ "$_s$_f" != failedsure ] || return 1
		[ -n "$_cmd" ] || [ -z "$_undoable" ]
		;;
	stop) [ "$_s$_f" != failedsure ] ;;
	start) [ -n "$_cmd" ] ;;
	esac
}

_undo_step() {
	_has_effect || return 0
	# crash: undo $_i
	_printed
	_event undoing "$_i" - '' '' "$_at"
	_status=- _is='' _detail='' _fault='' _lines=''
	printf '%s %s\n' "$_up" $((_timeout + _patience)) >"$_RUN/now"
	[ ! -e "$_RUN/why" ] || rm -f "$_RUN/why" "$_RUN/killed"
	_start_watchdog undo
	# crash: undoing $_i
	if "_undo_$_kind"; then _s=undone; else _s=undo_failed; fi
	_stop_watchdog
	# crash: undo_effect $_i
	if [ "$_s" = undo_failed ]; then
		_remains="$_remains $_label"
		[ ! -e "$_RUN/why" ] || { _fault=timeout && _reason timed_out_step $((_timeout + _patience)); }
		[ -n "$_detail" ] || _last_words
	fi
	_event "$_s" "$_i" "$_status" '' "$_is" "$_detail"
	# crash: undone $_i
}

_undo_hook() {
	if [ -z "$_cmd" ]; then
		_detail=cannot_undo
		return 1
	fi
	_command "$_back" "$_cmd" ''
	_status=$?
	return "$_status"
}

# Start the old version and wait for it; where the stop, or an undo before, was ended half way, it may be running already.
_undo_stop() {
	_is="$_back runs"
	if [ "$_s" != 'done' ] && [ -n "$_look_for" ] && _command "$_back" "$_look_for" ''; then return 0; fi
	if [ -z "$_cmd" ]; then
		_detail=no_start_command
		return 1
	fi
	_bring_back
}

_bring_back() {
	_launch "$_back" "$_cmd"
	_status=$?
	if [ -n "$_look_for" ]; then
		_wait_for "$_back" "$_look_for" "$_patience" && return 0
		_last_words
		_reason check_fails "$_status"
		return 1
	fi
	return "$_status"
}

# A failed stop is harmless where nothing runs: the start had not succeeded, or the check finds nothing.
_undo_start() {
	_is='nothing runs'
	_command "$_acts" "$_cmd" ''
	_status=$?
	[ "$_status" != 0 ] || return 0
	_reason stop_failed "$_status"
	[ ! -e "$_RUN/why" ] || return 1
	[ "$_s" = 'done' ] || return 0
	eval "_look_for=\$_check$_i"
	[ -n "$_look_for" ] || return 1
	! _command "$_acts" "$_look_for" ''
}

_undo_link() {
	_link "$_o"
	_linked
	_is=$_where
	if [ "$_where" != "$_o" ]; then
		_reason current_differs "${_where:--}" "${_o:--}"
		return 1
	fi
	[ -z "$_cmd" ] || _bring_back
}

_undo_unlink() {
	_undo_link
}

_undo_prune() {
	for _each in "$_TRASH/"*; do
		[ ! -e "$_each" ] || _move_release "$_each" "$_DIR/releases" || return 1
	done
}

_undo_remove() {
	_undo_prune
}
