# What a start command prints goes through a pipe into the run's output, so that a service which it leaves in the background
# inherits the pipe and not the file. While the run lasts, what the service prints is shown too; then it is read and
# thrown away as long as the pipe has a writer: nothing grows, and no service waits for a reader or ends for lack of one.

# Run $2 for the version $1, as _command does. The pipe is kept for the next run, unless a service has it. Where no pipe
# can be made, what it prints is lost.
_launch() {
	if [ ! -p "$_BASE/relay" ] && ! mkfifo "$_BASE/relay" 2>/dev/null 8>&- 9>&-; then
		_command "$1" "$2" service 6>/dev/null
		return
	fi
	# For reading and writing: then opening does not wait for the other end, as each holder is a reader itself.
	{
		_relay
		_command "$1" "$2" service 6>&0
		_launched=$?
	} 0<>"$_BASE/relay"
	_drained "$_relay"
	return "$_launched"
}

# By descriptor 1, for a job in the background is given no descriptor 0. tee goes on reading where the disk is full, and
# ends by itself when the pipe has no holder.
_relay() {
	{
		(
			trap '' HUP INT TERM PIPE
			exec tee /dev/null <&1 >&6 2>/dev/null 3<&- 4>&- 5>&- 7>&- 8>&- 9>&-
		) &
	} 1<"$_BASE/relay"
	_relay=$!
	printf '%s\n' "$_relay" >>"$_RUN/relays"
}

# Wait until all that the command printed is in the output, for its last lines count: the relay has ended, or waits for
# more. Nearly always it ends at once: that costs neither a process nor a look into its state.
_drained() {
	_tries=0 _seen=''
	while _reads "$1"; do
		_tries=$((_tries + 1))
		[ "$_tries" -gt 200 ] || continue
		[ "$_tries" -lt 300 ] || break
		read -r _ _pos </proc/self/fdinfo/6
		if _look "$1" && [ "$_state" = S ] && [ "$_pos" = "$_seen" ]; then break; fi
		_seen=''
		[ "$_state" != S ] || _seen=$_pos
		sleep 0.01 </dev/null 4>&- 5>&- 6>&- 8>&- 9>&-
	done
	if _reads "$1"; then _serves=yes; else wait "$1"; fi
} 2>/dev/null

# A shell has no descriptor 0 for a moment while it becomes a job in the background, so only an end counts as one: whoever
# took the beginning for it would wait for as long as the service lives.
_reads() {
	[ -e "/proc/$1/fd/0" ] || { _look "$1" && [ "$_state" != Z ]; }
}

# Call before a run is ended by any program, and before a dead one's processes are. The new reader comes first, so that
# there is always one; it is in its own session, which is never ended, and each of its two processes restarts the other.
_let_services_be() {
	[ -p "$_BASE/relay" ] || return 0
	# Where it has no holder, the next run takes the same pipe.
	[ "$_MODE" != start ] || [ -n "$_serves" ] || return 0
	{
		{
			(
				trap '' HUP INT TERM PIPE
				exec setsid sh -c 'until cat; do :; done' <&1 >/dev/null 2>&1 3<&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-
			) &
		} 1<"$_BASE/relay"
		while read -r _each; do
			[ ! "/proc/$_each/fd/0" -ef "$_BASE/relay" ] || kill -s KILL "$_each"
		done <"$_RUN/relays"
	} 0<>"$_BASE/relay"
	rm -f "$_BASE/relay" "$_RUN/relays" 8>&- 9>&-
	_serves=''
} 2>/dev/null

# _copies: the processes of a run that only read, which are never ended with it.
_readers() {
	_copies=''
	[ ! -e "$_RUN/copier" ] || read -r _copies <"$_RUN/copier"
	[ ! -e "$_RUN/relays" ] || while read -r _each; do _copies="$_copies $_each"; done <"$_RUN/relays"
}
