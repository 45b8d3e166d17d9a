# Nothing above does anything by itself: a program that was cut short on its way lacks its last line.

_start() {
	umask 077
	_need_tools
	_make_folders || _answer cannot_write
	_own_folder || _answer other_host "$_name"
	_lock || {
		[ $? = 1 ] || _answer cannot_write
		[ -s "$_RUN/journal" ] && _answer exists
		_answer busy
	}
	_raise_fence || _answer cannot_write
	_recover_other
	_seq=0
	if ! _make_run || ! _event begun - - '' '' ''; then
		_clear_stages
		_answer cannot_write
	fi
	# crash: begun
	_announce
	_watchdog='' _stopped=''
	_start_watchdog all
	if _forward && _stop_watchdog && [ ! -e "$_RUN/why" ]; then _finish 'done' ''; fi
	_stop_watchdog
	_go_back
}

_make_run() {
	_again=''
	if [ -s "$_RUN/journal" ]; then
		_load
		[ "$_ended" = cut ] || _answer exists
		rm -f "$_RUN/cancel" "$_RUN/why" "$_RUN/killed" "$_RUN/reason" "$_RUN/copier" "$_RUN/size" "$_RUN/result"
		_again=yes
	fi
	_needed=''
	[ "$_SHA" = '' ] || _is_there || _needed=$_STAGE
	_clear_stages
	set -- "$_DIR/releases/"*
	# The trash by the same process, where a release more will be one too many.
	[ "$#" -ge "$_KEEP" ] && [ -n "$_needed" ] || set --
	# shellcheck disable=SC2174 # 755 is for these folders; those above them follow the umask
	mkdir -p -m 755 "$_RUN" ${_needed:+"$_needed"} ${1:+"$_TRASH"} || return 1
	printf '%s\n' "$_OP" >"$_BASE/open" || return 1
	printf '%s' "${PROGRAM#*"$_NL"}" >"$_RUN/program" || return 1
	unset PROGRAM
	_sign
	_open_run
	[ -z "$_again" ] || echo '[started again]' >&6
}

# The lock is held and every other run has its end: no stage is in use any more.
_clear_stages() {
	for _each in "$_DIR/releases/.stage-"*; do
		[ ! -d "$_each" ] || _remove_tree "$_each"
	done
}

# The sender learns at once whether to send. Not a byte is read where the release is there.
_announce() {
	_i=0
	while [ "$_i" -lt "$_STEPS" ]; do
		eval "_kind=\$_kind$_i"
		if [ "$_kind" = upload ]; then
			if [ -n "$_needed" ]; then _event need "$_i" - '' '' ''; else _event have "$_i" - '' '' ''; fi
			_say
			return 0
		fi
		_i=$((_i + 1))
	done
	_needed=''
}

_attach() {
	[ -d "$_BASE" ] || _answer no_run
	umask 077
	_raise_fence || _answer cannot_write
	_tries=0
	until [ -s "$_RUN/journal" ]; do
		# Another program may be about to start it: the holder of the lock decides.
		_lock && _answer no_run
		_tries=$((_tries + 1))
		[ "$_tries" -lt 20 ] || _answer busy
		sleep 0.2
	done
	exec 7<"$_RUN/journal"
	_open_output
	_partial='' _seq=0 _reached=-1 _ended='' _awaited='' _going_back='' _pressed=0 _polls=0
	while :; do
		_alive
		_lives=$?
		_follow
		[ -z "$_ended" ] || break
		_copy "$_OUTPUT_HEAD" || exit
		if [ "$_lives" = 0 ]; then _press; elif _lock; then _take_up; fi
		sleep 0.2 8>&-
		# Without a line now and then, a program whose reader is gone would not notice, and stay as long as the run.
		_polls=$(((_polls + 1) % 50))
		[ "$_polls" != 0 ] || echo >&5
	done
	_copy "$_total"
	exit 0
}

# Print the journal's new lines.
_follow() {
	while IFS= read -r _line || { _partial=$_partial$_line && false; }; do
		_line=$_partial$_line _partial=''
		_head=${_line%%"$_TAB"*} _rest=${_line#*"$_TAB"}
		case $_head in *[!A-Za-z0-9._\ -]*) continue ;; esac
		# shellcheck disable=SC2086 # split into its fields, which hold no pattern
		_notice $_head
		# shellcheck disable=SC2086 # as above
		_take $_head
		[ "$_seq" -le "$_SEEN" ] || printf "@$_NONCE %s\n" "$_line" >&5
	done <&7
}

_notice() {
	case ${3-} in
	need) _awaited=$4 ;;
	'done' | failed) [ "$4" != "$_awaited" ] || _awaited='' ;;
	undoing) _going_back=yes ;;
	end) _awaited='' ;;
	esac
}

# The awaited package would come over a connection that is gone: cut the run, to be started again.
_press() {
	if [ "$_CANCEL" = 1 ]; then
		[ -s "$_RUN/cancel" ] || printf 'cancelled\n' >"$_RUN/cancel"
	elif [ -n "$_awaited" ]; then
		[ -s "$_RUN/cancel" ] || printf 'cut\n' >"$_RUN/cancel"
	else
		return 0
	fi
	_pressed=$((_pressed + 1))
	if [ "$_pressed" -lt 20 ] || [ -e "$_RUN/why" ] || [ -n "$_going_back" ]; then return 0; fi
	# The watchdog does not answer, so it is dead.
	cat "$_RUN/cancel" >"$_RUN/why"
	_readers
	_end_all "$_runner" "$_runner" "$_copies"
	: >"$_RUN/killed"
}

# The lock is free, so the run is dead: its own program recovers it, in this very process.
_take_up() {
	_follow
	if [ -n "$_ended" ] || _alive; then
		exec 8>&-
		return 0
	fi
	if [ ! -s "$_RUN/program" ]; then
		_conclude
		exec 8>&-
		return 0
	fi
	_copy "$_OUTPUT_HEAD"
	_MODE=recover
	# shellcheck disable=SC1091 # this very program, as the run was started with it
	. "$_RUN/program"
}

_main() {
	_paths
	case $_MODE in
	start | attach)
		_uptime
		_UP0=$_up
		_own_session
		exec 3<&0 4>&1 5>&2 </dev/null >/dev/null
		;;
	esac
	# Before the package, on a line of its own: no program, which the host keeps, and no environment ever has it.
	[ -z "${_SIGNS_IN-}" ] || IFS= read -r _sign_in <&3 || exit
	if [ "$_MODE" != attach ]; then trap : HUP PIPE; fi
	case $_MODE in
	start) _start ;;
	attach) _attach ;;
	recover) _recover ;;
	esac
}

# Give all processes of a run one session, so that all can be found. sshd does that; sudo may not.
_own_session() {
	_look $$
	_mine=$_born
	[ "$_session" != $$ ] || return 0
	# shellcheck disable=SC2016 # for the shell that is started
	_PROGRAM=$PROGRAM exec setsid -w sh -c 'PROGRAM=$_PROGRAM; unset _PROGRAM; eval "$PROGRAM"'
}

_main
