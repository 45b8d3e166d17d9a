# The processes of a run: those of its session, and those that hold its marker as descriptor 9. A process that a start
# command left in its own session holds no marker: it is the service, and nothing here touches it.

# _state, _parent, _session and _born (in clock ticks since boot) of the process $1; fails if there is none.
_look() {
	_stat=''
	# A command's name may hold anything, newlines included: read to the end, and cut at the last bracket.
	while read -r _line; do _stat="$_stat$_line "; done <"/proc/$1/stat" || return 1
	[ -n "$_stat" ] || return 1
	# shellcheck disable=SC2086 # split into its fields, which hold no pattern
	_fields ${_stat##*) }
} 2>/dev/null

_fields() {
	_state=$1 _parent=$2 _session=$4
	shift 19
	_born=$1
}

# Write down which process carries the run out. Descriptor 9 is on that very file: it is the marker.
_sign() {
	exec 9>"$_RUN/alive"
	read -r _boot </proc/sys/kernel/random/boot_id
	[ -n "${_mine-}" ] || { _look $$ && _mine=$_born; }
	printf '%s %s %s\n' $$ "$_mine" "$_boot" >&9
}

# Whether the process that wrote it still lives. Set _runner to its process id, or to nothing where the host was booted
# since or another process has the id by now: then its session's number says nothing either.
_alive() {
	_runner='' _since='' _where=''
	read -r _runner _since _where <"$_RUN/alive" || return 1
	read -r _boot </proc/sys/kernel/random/boot_id
	if [ "$_boot" != "$_where" ]; then
		_runner=''
		return 1
	fi
	_look "$_runner" || return 1
	if [ "$_born" != "$_since" ]; then
		_runner=''
		return 1
	fi
	[ "$_state" != Z ]
} 2>/dev/null

# _found: processes of the session $1, and holders of the marker, without those in $2 and the children of those in $3.
_holders() {
	_found=''
	for _each in /proc/[0-9]*; do
		_pid=${_each#/proc/}
		case " $2 $3 " in *" $_pid "*) continue ;; esac
		_look "$_pid" || continue
		case $_state in Z | X) continue ;; esac
		case " $3 " in *" $_parent "*) continue ;; esac
		[ "$_session" = "$1" ] || [ "$_each/fd/9" -ef "$_RUN/alive" ] || continue
		[ -z "$4" ] || kill -s "$4" "$_pid"
		_found=yes
	done
	[ -z "${_AS-}" ] || ! _theirs "$1" "$4" || _found=yes
	[ -n "$_found" ]
} 2>/dev/null

# Send TERM to all of them, 2 s later KILL, again and again: what is forked during the killing must end as well.
_end_all() {
	_signal=TERM
	_uptime
	_first=$_up
	while _holders "$1" "$2" "$3" "$_signal"; do
		_uptime
		if [ $((_up - _first)) -lt 200 ]; then _signal=''; else _signal=KILL; fi
		[ $((_up - _first)) -lt 3000 ] || return 1
		sleep 0.1 </dev/null 4>&- 5>&- 8>&- 9>&-
	done
}
