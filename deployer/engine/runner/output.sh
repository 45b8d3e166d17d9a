# The output file grows only at its end, for readers by offset: the first bytes as they come, and once the run is over a
# line that says how much was left out, and the last bytes.

# Copy from the position of descriptor 3 up to the byte $1, or to the end of what is there.
_copy() {
	read -r _ _pos </proc/self/fdinfo/3
	while _rest=$(($1 - _pos)) && [ "$_rest" -gt 0 ]; do
		if [ "$_rest" -ge 65536 ]; then
			dd bs=65536 count=$((_rest / 65536)) <&3 >&4 2>/dev/null 8>&- 9>&- || return 1
		else
			dd bs="$_rest" count=1 <&3 >&4 2>/dev/null 8>&- 9>&- || return 1
		fi
		_was_at=$_pos
		read -r _ _pos </proc/self/fdinfo/3
		[ "$_pos" != "$_was_at" ] || return 0
	done
}

# Open the output for reading at the byte _FROM. What was shown before the mark came from a login shell (journal.OutputReader).
_open_output() {
	printf '@%s output\n' "$_NONCE" >&4 || :
	exec 3<"$_RUN/output"
	[ "$_FROM" = 0 ] || dd bs=1 skip="$_FROM" count=0 <&3 >/dev/null 2>&1 8>&- 9>&-
} 2>/dev/null

# Show the output while the run goes on, until TERM says that it is over and `size` how far to go.
_copier() {
	exec 5>&- 7>&- 8>&- 9>&-
	_over='' _nap=''
	trap '_over=yes' TERM
	_open_output
	while [ -z "$_over" ]; do
		_copy "$_OUTPUT_HEAD" || exit
		[ -z "$_over" ] || break
		sleep 1 </dev/null >/dev/null 2>&1 4>&- 6>&- &
		_nap=$!
		wait $_nap
		[ -n "$_over" ] || kill -0 $$ || _over=lost
	done 2>/dev/null
	kill "$_nap" 2>/dev/null
	[ "$_over" = lost ] || read -r _size <"$_RUN/size" && _copy "$_size"
}

# Keep the disk from being filled: free the space between head and tail while the file grows on, so nothing that is
# written meanwhile is lost. Where the file system cannot do that, cut the file off, and count the loss.
_spare_disk() {
	[ "$1" -gt $((_given_back + 67108864)) ] || return 0
	_until=$(($1 - _OUTPUT_TAIL))
	if fallocate -p -o "$_given_back" -l $((_until - _given_back)) "$_RUN/output"; then
		_given_back=$_until
		return 0
	fi
	_left=0
	[ ! -e "$_RUN/left" ] || read -r _left <"$_RUN/left"
	tail -c "$_OUTPUT_TAIL" "$_RUN/output" >"$_RUN/tail"
	_grown=$(wc -c <"$_RUN/output")
	_cut_output
	[ "$_grown" -le "$_OUTPUT_HEAD" ] || _left=$((_left + _grown - _OUTPUT_HEAD))
	printf '%s\n' "$_left" >"$_RUN/left"
}

_cut_output() {
	dd if=/dev/null of="$_RUN/output" bs=1 seek="$_OUTPUT_HEAD" count=0 2>/dev/null
}

# Set _size, the size of the whole output, after putting marker and tail where the head is full.
_close_output() {
	read -r _ _size </proc/self/fdinfo/6
	if [ "$_size" -le "$_OUTPUT_HEAD" ] && [ ! -e "$_RUN/left" ]; then return 0; fi
	_left=0
	if [ -e "$_RUN/left" ]; then
		read -r _left <"$_RUN/left"
		_size=$(wc -c <"$_RUN/output")
	fi
	_new=$((_size - _OUTPUT_HEAD))
	if [ "$_new" -gt 0 ]; then
		_kept=$_new
		[ "$_kept" -le "$_OUTPUT_TAIL" ] || _kept=$_OUTPUT_TAIL
		{
			[ ! -e "$_RUN/tail" ] || cat "$_RUN/tail"
			tail -c "$_kept" "$_RUN/output"
		} | tail -c "$_OUTPUT_TAIL" >"$_RUN/tail.new"
		mv "$_RUN/tail.new" "$_RUN/tail"
		_cut_output
		_left=$((_left + _new))
	fi
	_new=$(wc -c <"$_RUN/tail") _left=$((_left - _new))
	[ "$_left" -le 0 ] || printf '\n[... about %s bytes left out ...]\n' "$_left" >&6
	cat "$_RUN/tail" >&6
	rm -f "$_RUN/left" "$_RUN/tail"
	_size=$(wc -c <"$_RUN/output") _size=$((_size))
}

_show_output() {
	if [ -e "$_RUN/copier" ]; then
		read -r _pid <"$_RUN/copier"
		kill -s TERM "$_pid" 2>/dev/null
	elif [ "$_size" -gt "$_FROM" ]; then
		[ "$_MODE" != start ] || _open_output
		_copy "$_size"
	fi
}
