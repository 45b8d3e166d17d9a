# The journal: see journal.py for its lines.

# _up: hundredths of a second since the host was booted.
_uptime() {
	read -r _up _ </proc/uptime
	_up=$((${_up%.*} * 100 + 1${_up#*.} - 100))
}

# _text: $1 on one line and without tabs.
_one_line() {
	_text=$1
	while :; do
		case $_text in
		*"$_TAB"*) _text="${_text%%"$_TAB"*} ${_text#*"$_TAB"}" ;;
		*"$_NL"*) _text="${_text%%"$_NL"*} ${_text#*"$_NL"}" ;;
		*) return 0 ;;
		esac
	done
}

# _detail: the reason $1 with its values. Their texts are in messages/texts/operations.py.
_reason() {
	_detail=$1
	shift
	for _value in "$@"; do
		_detail=$_detail$_RS$_value
	done
}

# Write an event: $1 kind, $2 position, $3 exit status, $4 old state, $5 new state, $6 detail. Fails only if the journal
# cannot be written: whether a reader is connected must make no difference.
_event() {
	_uptime
	_seq=$((_seq + 1)) _label=-
	[ "$2" = - ] || eval "_label=\$_name$2"
	_one_line "$4"
	_before=$_text
	_one_line "$5"
	_after=$_text
	_one_line "$6"
	case $1 in failed | undo_failed) _text="$_fault$_US$_text$_lines" ;; esac
	set -- "$_seq $((_NOW + _up - _UP0)) $1 $2 $_label $3" "$_before" "$_after" "$_text"
	printf '%s\t%.500s\t%.500s\t%.5000s\n' "$@" >&7
	_written=$?
	if [ "${#_before}" -gt 500 ] || [ "${#_after}" -gt 500 ] || [ "${#_text}" -gt 500 ]; then
		_say
		printf "@$_NONCE %s\t%.500s\t%.500s\t%.5000s\n" "$@" >&5
	else
		_unsaid="$_unsaid@$_NONCE $1$_TAB$2$_TAB$3$_TAB$4$_NL"
	fi
	return "$_written"
} 2>/dev/null

# _at: how many bytes were printed so far, which tells what each step printed. Starts no process.
_printed() {
	read -r _ _at </proc/self/fdinfo/6 || _at=''
} 2>/dev/null

# Show the events that were not shown yet. Each packet costs both sides more than a small step does, so those that come
# at once go together: they are shown before anything that may take long, and at the end.
_say() {
	[ -z "$_unsaid" ] || printf %s "$_unsaid" >&5
	_unsaid=''
} 2>/dev/null

# Read the journal: _seq, _ended (the result, or nothing), and for each step _s (its last event), _o (its old state)
# and _f (why its failure is believed or not).
_load() {
	_seq=0 _ended='' _reached=-1
	while IFS= read -r _line; do
		_head=${_line%%"$_TAB"*} _rest=${_line#*"$_TAB"}
		case $_head in *[!A-Za-z0-9._\ -]*) continue ;; esac
		# shellcheck disable=SC2086 # split into its fields, which hold no pattern
		_take $_head
	done <"$_RUN/journal"
}

_take() {
	[ $# = 6 ] || return 0
	case $1$2 in *[!0-9]*) return 0 ;; esac
	_seq=$1
	case $3 in
	begun) _ended='' ;;
	end) _ended=${_rest%%"$_TAB"*} _total=${_rest#*"$_TAB"} _total=${_total%%"$_TAB"*} ;;
	esac
	case $4 in *[!0-9]*) return 0 ;; esac
	case $3 in
	started)
		eval "_s$4=started _o$4=\${_rest%%\"\$_TAB\"*} _f$4="
		[ "$4" -le "$_reached" ] || _reached=$4
		;;
	failed)
		_rest=${_rest#*"$_TAB"}
		eval "_s$4=failed _f$4=\${_rest%%\"\$_TAB\"*}"
		;;
	done | undoing | undone | undo_failed) eval "_s$4=$3" ;;
	esac
}
