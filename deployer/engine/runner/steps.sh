# One function for each kind of step. It sets _status (a command's exit status or -), _is (the new state) and _detail, and
# fails where the step's effect is not there.

_forward() {
	_i=0 _hooked=''
	while [ "$_i" -lt "$_STEPS" ]; do
		_step "$_i" || return 1
		_i=$((_i + 1))
	done
}

_step() {
	eval "_kind=\$_kind$1 _cmd=\$_run$1 _look_for=\$_check$1 _acts=\$_acts$1 _timeout=\$_timeout$1"
	_status=- _is='' _detail='' _believed=sure _fault='' _lines=''
	_state_before
	# crash: before $1
	_printed
	if ! _event started "$1" - "$_was" '' "$_at"; then
		_fault=disk
		_event failed "$1" - "$_was" sure journal_unwritable
		return 1
	fi
	printf '%s %s\n' "$_up" $((_timeout + 2)) >"$_RUN/now"
	case $_kind in
	hook) _hooked=yes ;;
	stop | link | unlink | start) _release_reserve ;;
	esac
	# crash: started $1
	if _still_fits "$1" && "_do_$_kind" "$1"; then
		# crash: effect $1
		_event 'done' "$1" "$_status" "$_was" "$_is" "$_detail"
		# crash: done $1
		[ -e "$_RUN/why" ] || return 0
		_stop_watchdog
		return 1
	fi
	_explain
	_event failed "$1" "$_status" "$_was" "$_believed" "$_detail"
	return 1
}

# Check before the stop also what earlier commands have made, or have not.
_still_fits() {
	case $_hooked$_kind in yesstop | yeslink) _hooked='' ;; *) return 0 ;; esac
	_foresee "$1" ''
}

_state_before() {
	_was=''
	case $_kind in
	link | unlink)
		_linked
		_was=$_where
		;;
	stop) _was="$_acts runs" ;;
	start) _was='nothing runs' ;;
	upload | unpack) [ ! -d "$_DIR/releases/$_NEW" ] || _was="releases/$_NEW" ;;
	esac
}

# Why a step failed. What was ended half way may have had an effect: its failure is not `sure`.
_explain() {
	_stop_watchdog
	_why=''
	[ ! -e "$_RUN/why" ] || read -r _why <"$_RUN/why"
	[ -z "$_why" ] || _believed=unsure
	case $_why in
	'') [ -n "$_detail" ] || _last_words ;;
	timeout) _reason timed_out_step "$_timeout" && _fault=timeout _lines='' ;;
	idle) _reason idle "$_IDLE_TIMEOUT" && _fault=idle _lines='' ;;
	cancelled) _detail=cancelled _fault=cancelled _lines='' ;;
	*) _detail=package_stopped _fault=cut _lines='' ;;
	esac
}

# Attach what the step printed last to its failure, line by line: error_lines.py finds the line that names the cause.
# Nothing of an earlier step is attached.
_last_words() {
	_reason exit_status "$_status"
	_lines=''
	read -r _ _pos </proc/self/fdinfo/6
	_rest=$((_pos - ${_at:-_pos}))
	[ "$_rest" -gt 0 ] || return 0
	[ "$_rest" -le 4000 ] || _rest=4000
	_said=$(tail -c "$_rest" "$_RUN/output" 8>&- 9>&-)
	while :; do
		case $_said in
		*"$_NL"*) _lines=$_lines$_US${_said%%"$_NL"*} _said=${_said#*"$_NL"} ;;
		*) break ;;
		esac
	done
	[ -z "$_said" ] || _lines=$_lines$_US$_said
} 2>/dev/null

# Run the step's command; believe a failure only after one more check, if the step says how to check.
_do_hook() {
	_command "$_acts" "$_cmd" ''
	_status=$?
	[ ! -e "$_RUN/why" ] || return "$_status"
	if [ -n "$_look_for" ]; then
		[ "$_status" = 0 ] || _last_words
		if _command "$_acts" "$_look_for" ''; then
			[ "$_status" = 0 ] || _reason check_passes "$_status"
			return 0
		fi
		[ "$_status" != 0 ] || _last_words
		_reason check_fails "$_status"
		return 1
	fi
	return "$_status"
}

_do_stop() {
	_command "$_acts" "$_cmd" ''
	_status=$?
	_is='nothing runs' _stopped=yes
	[ "$_status" != 0 ] || return 0
	_last_words
	[ ! -e "$_RUN/why" ] && [ -n "$_look_for" ] || return 1
	_command "$_acts" "$_look_for" '' && return 1
	_reason nothing_runs "$_status"
}

_do_start() {
	_launch "$_acts" "$_cmd"
	_status=$?
	_is="$_acts runs"
	[ "$_status" != 0 ] || return 0
	_last_words
	# Only where the old one was seen to stop: else it is the old one that answers.
	[ ! -e "$_RUN/why" ] && [ -n "$_look_for" ] && [ -n "$_stopped" ] || return 1
	_command "$_acts" "$_look_for" '' || return 1
	_reason check_passes "$_status"
}

_do_check() {
	_status=0
	if _wait_for "$_acts" "$_cmd" "$_timeout"; then
		_status=0 _is='the check passed'
		return 0
	fi
	_last_words
	_fault=unchecked
	_reason not_passed "$_timeout" "$_status"
	return 1
}

_do_prepare() {
	[ -w "$_DIR" ] && [ -w "$_DIR/releases" ] || {
		_fault=not_writable
		_reason folder_unwritable "$_DIR"
		return 1
	}
	[ -z "${_AS-}" ] || _may_become || return 1
	_can_end || return 1
	[ -z "$_IMAGES" ] || _has_engine || return 1
	[ -n "$_NEW" ] || _may_remove || return 1
	if [ -n "$_needed" ]; then
		_room || return 1
	else
		_foresee 0 syntax || return 1
	fi
	_notes
}

_do_upload() {
	if [ -z "$_needed" ]; then
		_is="releases/$_NEW" _detail=already_there
		return 0
	fi
	if [ -n "$_FETCHING" ] && ! _fetch "$1"; then return 1; fi
	_take_in || {
		_fault=disk _detail=no_pipes
		return 1
	}
	exec 3<&-
	if [ -e "$_RUN/why" ]; then return 1; fi
	if [ "$_got" = "$_SHA" ] && [ "$_tar" = 0 ]; then
		_is="sha256 $_got"
		return 0
	fi
	# gzip alone knows whether the bytes ended too early; a signal ended it if tar gave up first.
	if [ "$_got" != "$_SHA" ] && [ "$_gzip" != 0 ] && [ "$_gzip" -lt 128 ]; then
		printf 'cut\n' >"$_RUN/why"
		: >"$_RUN/killed"
		return 1
	fi
	_status=$_tar
	if [ "$_tar" = 0 ]; then
		_fault=other_package
		_reason other_sha256 "$_got" "$_SHA"
	else
		# On a full disk tar cannot write its error text either.
		_last_words
		_free_space
		[ "${_free:-64}" -ge 64 ] || _fault=disk
		_reason tar_failed "$_tar" "${_free:-?}"
	fi
	return 1
}

_do_unpack() {
	_is="releases/$_NEW"
	[ -n "$_needed" ] || return 0
	_look_through || return 1
	_put_in_place || return 1
	_foresee 0 syntax
}

_do_link() {
	_is="releases/$_NEW"
	_link "$_is"
	_status=$?
	[ "$_DIR/current" -ef "$_DIR/$_is" ] || return 1
	printf '%s\n' "$_NEW" >>"$_BASE/order"
}

_do_unlink() {
	_link ''
	_status=$?
	[ ! -e "$_DIR/current" ] && [ ! -L "$_DIR/current" ]
}

_do_prune() {
	_superfluous
	[ -n "$_gone" ] || return 0
	_reason removed "${_gone# }"
	[ -d "$_TRASH" ] || mkdir -p "$_TRASH"
	for _each in $_gone; do
		_move_release "$_DIR/releases/$_each" "$_TRASH" || _detail=not_all_moved
	done
	! _held_below "$_TRASH" || _cannot_remove "$_held"
	return 0
}

_do_remove() {
	mkdir -p "$_TRASH" || return 1
	for _each in "$_DIR/releases/"*; do
		[ ! -e "$_each" ] || _move_release "$_each" "$_TRASH" || return 1
	done
}
