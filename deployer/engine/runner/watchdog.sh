# The watchdog: a background process that ends the current command when it may go on no longer, and says `why`.

_start_watchdog() {
	_watch "$1" &
	_watchdog=$!
}

# Wait for a kill that is under way: nothing of it may reach what comes next.
_stop_watchdog() {
	[ -n "$_watchdog" ] || return 0
	kill -s TERM "$_watchdog"
	wait "$_watchdog"
	_watchdog='' _tries=0
	# Where the watchdog is dead, the program that cancels does its work.
	while [ -e "$_RUN/why" ] && [ ! -e "$_RUN/killed" ] && [ "$_tries" -lt 300 ]; do
		_tries=$((_tries + 1))
		sleep 0.1 </dev/null 4>&- 5>&- 8>&- 9>&-
	done
} 2>/dev/null

# $1: "all" for the steps; "undo", which cannot be cancelled.
_watch() {
	# Here, and not where it is called: a function called with redirections keeps copies of what they replace.
	exec 8>&- 9>&-
	_over='' _last=-1 _idle=0 _given_back=$_OUTPUT_HEAD
	trap '_over=yes' TERM
	read -r _self _ </proc/self/stat
	while :; do
		sleep 1 </dev/null >/dev/null 2>&1 4>&- 5>&- 6>&- 7>&- &
		wait $!
		if [ -n "$_over" ]; then
			kill $!
			exit 0
		fi
		kill -0 $$ || exit 0
		if [ "$1" = all ] && [ ! -e "$_RUN/copier" ]; then
			_copier &
			printf '%s\n' $! >"$_RUN/copier"
		fi
		read -r _ _pos </proc/self/fdinfo/6
		_spare_disk "$_pos"
		_tick "$1"
	done
} 2>/dev/null

_tick() {
	read -r _since _limit _tee _how <"$_RUN/now" || return 0
	if [ "$1" = all ] && [ -s "$_RUN/cancel" ]; then
		read -r _word <"$_RUN/cancel"
		# By now the package may have come after all.
		[ "$_word" = cut ] && [ -z "$_tee" ] || _give_up "$_word"
	fi
	[ -z "$_tee" ] || { { [ -z "$_how" ] || read -r _; } && read -r _ _pos; } <"/proc/$_tee/io"
	_uptime
	if [ "$_pos" != "$_last" ]; then _last=$_pos _idle=$_up; fi
	[ "$_since" -lt "$_idle" ] || _idle=$_since
	if [ -n "$_how" ]; then
		# A fetching run writes; its source may be silent as well.
		[ $((_up - _idle)) -lt $((_FETCHING * 100)) ] || kill -s TERM "$_tee"
		return 0
	fi
	if [ -n "$_tee" ]; then
		# The sender may be gone silently: the next attempt sends again.
		[ $((_up - _idle)) -lt 6000 ] || _give_up cut
		return 0
	fi
	[ "$_limit" = 0 ] || [ $((_up - _since)) -lt $((_limit * 100)) ] || _give_up timeout
	[ "$_IDLE_TIMEOUT" = 0 ] || [ $((_up - _idle)) -lt $((_IDLE_TIMEOUT * 100)) ] || _give_up idle
}

_give_up() {
	trap '' TERM
	printf '%s\n' "$1" >"$_RUN/why"
	_readers
	_end_all $$ $$ "$_self $_copies"
	: >"$_RUN/killed"
	exit 0
}
