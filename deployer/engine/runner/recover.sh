# Bring a run to its end: by its runner, or by the program that recovers it.

# Undo the steps where not all succeeded, from the journal alone.
_go_back() {
	_release_reserve
	_load
	_why=''
	[ ! -e "$_RUN/why" ] || read -r _why <"$_RUN/why"
	# Kept where an undo that is interrupted leaves it to the next one: undo steps have a `why` of their own.
	[ -e "$_RUN/reason" ] || printf '%s\n' "$_why" >"$_RUN/reason"
	read -r _why <"$_RUN/reason"
	_undo_all
	if [ -n "$_remains" ]; then
		_finish failed "not_undone$_RS${_remains# }"
	elif [ "$_why" = cancelled ]; then
		_finish cancelled ''
	elif [ "$_why" = cut ]; then
		_finish cut ''
	else
		_finish undone ''
	fi
}

_finish() {
	[ ! -d "$_STAGE" ] || _remove_tree "$_STAGE"
	# Without a version to go to it is a delete, which is not done while something of it stays.
	[ -z "$_IMAGES" ] || _images_gone
	if [ "$1$_NEW" = 'done' ] && ! _remove_for_good; then set -- failed "left_on_host$_RS${_left# }"; fi
	_let_services_be
	_close_output
	printf '%s\n' "$_size" >"$_RUN/size"
	# For _conclude, where the program is gone and the journal lacks its last line, as after a power cut.
	printf '%s\n' "$1" "$2" >"$_RUN/result"
	# crash: ending
	_event end - - "$1" "$_size" "$2"
	_say
	# crash: ended
	: >"$_BASE/open"
	# They hold the service's environment. Emptied under the lock, when no other run is without an end, and without a
	# process; also those of runs that died right after their end, or ended before this was done.
	for _each in "$_BASE/runs/"*/program "$_BASE/runs/"*/text; do
		[ ! -s "$_each" ] || : >"$_each"
	done
	exec 8>&- 9>&-
	_show_output
	exec 4>&- 5>&-
	_tidy
	# A run that was cut may have been started again by now.
	[ "$1" = cut ] || exec rm -f "$_RUN/program" "$_RUN/text" "$_RUN/relays" "$_RUN/reserve" "$_BASE/current.$_OP" 2>/dev/null
	exit 0
}

# The program is removed only when the run has ended. Where it is gone and the journal has no end, the end was lost: write
# it again. Without a result conclude nothing: something else removed the program.
_conclude() {
	[ -s "$_RUN/result" ] || _answer unsettled "$_OP"
	{
		read -r _was
		read -r _why
	} <"$_RUN/result"
	[ -z "$(tail -c 1 "$_RUN/journal")" ] || echo >>"$_RUN/journal"
	_size=$(wc -c <"$_RUN/output")
	{ _event end - - "$_was" $((_size)) "$_why"; } 7>>"$_RUN/journal"
	_unsaid=''
}

# Remove what is no longer needed. Best effort: the run is over.
_tidy() {
	[ -z "$_IMAGES" ] || _forget_images || return 0
	for _each in "$_BASE/trash/"*; do
		[ ! -e "$_each" ] || _remove_tree "$_BASE/trash"
		break
	done
	_forget_sums
	set -- "$_BASE/runs/"*
	[ $# -gt 30 ] || return 0
	_count=$#
	while [ "$_count" -gt 20 ]; do
		_oldest=''
		for _each in "$_BASE/runs/"*; do
			_each=${_each##*/}
			case $_each in *[!0-9]*) continue ;; esac
			if [ -z "$_oldest" ] || [ "$_each" -lt "$_oldest" ]; then _oldest=$_each; fi
		done
		[ -n "$_oldest" ] && [ "$_oldest" != "$_OP" ] && rm -rf "$_BASE/runs/$_oldest" || return 0
		_count=$((_count - 1))
	done
} 2>/dev/null

# Open what a run writes to. End a torn line first, so that the next one stands alone.
_open_run() {
	exec 6>>"$_RUN/output" 7>>"$_RUN/journal"
	exec 2>&6
	[ ! -s "$_RUN/journal" ] || [ -z "$(tail -c 1 "$_RUN/journal")" ] || echo >&7
}

# Bring a dead run to its end. The caller holds the lock, so no other program carries it out.
_recover() {
	_alive
	_let_services_be
	_end_all "${_runner:-none}" $$ $$
	[ ! -s "$_RUN/sign_in" ] || _show_no_more
	_sign
	_release_reserve
	_open_run
	_load
	[ -z "$_ended" ] || exit 0
	echo '[taken up again: the run had died]' >&6
	_event begun - - '' '' ''
	# crash: recovering
	_judge
}

_judge() {
	[ ! -e "$_RUN/removing" ] || _finish 'done' ''
	if [ "$_reached" -lt 0 ]; then _kind=prepare; else eval "_kind=\$_kind$_reached _s=\$_s$_reached _o=\$_o$_reached"; fi
	case $_kind in
	prepare | upload | unpack | pull)
		[ ! -e "$_RUN/why" ] && printf 'cut\n' >"$_RUN/why"
		;;
	*)
		# `why` alone does not tell: an undo that has begun takes it away, and `reason` stays.
		if [ "$_reached" = $((_STEPS - 1)) ] && [ "$_s" = 'done' ] && [ ! -e "$_RUN/why" ] && [ ! -e "$_RUN/reason" ]; then
			_finish 'done' ''
		fi
		_fault=died _lines=''
		[ "$_s" != started ] || _event failed "$_reached" - "$_o" unsure run_died
		;;
	esac
	_go_back
}

# Recover another operation's run without an end first. The lock is held, so it is dead.
_recover_other() {
	_other=''
	[ -s "$_BASE/open" ] && read -r _other <"$_BASE/open"
	case $_other in '' | "$_OP" | *[!0-9]*) return 0 ;; esac
	[ -s "$_BASE/runs/$_other/journal" ] || return 0
	if [ ! -s "$_BASE/runs/$_other/program" ]; then
		[ -s "$_BASE/runs/$_other/result" ] || _answer unsettled "$_other"
		return 0
	fi
	# shellcheck disable=SC2016 # for the shell that is started
	setsid sh -c '_MODE=recover _OP=$1 _DIR=$2 _NOW=$3 _UP0=$4 _NONCE=none _FROM=0; . "$5"' sh \
		"$_other" "$_DIR" "$_NOW" "$_UP0" "$_BASE/runs/$_other/program" </dev/null 3</dev/null 4>/dev/null 5>/dev/null
}
