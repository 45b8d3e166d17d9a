# Only in the program for a host whose jump host keeps copies of packages (jump_cache/client.py): the package is fetched from there.
# The address, which holds a secret, comes on standard input and goes to the tool's, and nowhere else.

# Answer `need`. Descriptor 3 becomes what was fetched, if it is the package; else it stays, and the bytes come there.
_fetch() {
	_ask_where
	if [ -e "$_RUN/why" ]; then return 1; fi
	case $_offer in
	fetch\ *) ;;
	*)
		_offer=${_offer#bytes}
		_detail=''
		[ -z "$_offer" ] || _reason jump_host_refused "${_offer# }"
		return 0
		;;
	esac
	_file=$_STAGE/.package _got=''
	# shellcheck disable=SC2086 # split into its words
	if _room_for_both && _begin_fetch ${_offer#fetch }; then
		unset _offer
		printf '%s 0 %s fetch\n' "$_up" "$_fetcher" >"$_RUN/now"
		wait "$_fetcher"
		_fetched $?
	fi
	unset _offer
	if [ -e "$_RUN/why" ]; then return 1; fi
	# crash: fetched
	if [ "$_got" = "$_SHA" ] && [ -r "$_file" ]; then
		exec 3<"$_file"
		_detail=fetched
	fi
	rm -f "$_file" || return 1
	[ "$_got" = "$_SHA" ] || _event need "$1" - '' '' "$_detail"
}

# _offer: the worker's line. It may take long, while the jump host gets the package; `wait` says that the worker lives.
_ask_where() {
	_say
	_uptime
	_offer=$(
		exec 4>&- 5>&- 8>&-
		read -r _self _ </proc/self/stat
		printf '%s 0 %s\n' "$_up" "$_self" >"$_RUN/now"
		_line='wait'
		while [ "$_line" = wait ]; do IFS= read -r _line <&3 || _line=''; done
		printf '%s' "$_line"
	)
}

# The fetched package and the unpacked one are here at the same time for a while.
_room_for_both() {
	[ "$_SIZE" -gt 8388608 ] || return 0
	_free_space
	[ -z "$_free" ] || [ $((_free * 1024)) -ge $((_DISK_RESERVE + 3 * _SIZE)) ] || {
		_reason not_fetched_disk "$_free"
		return 1
	}
}

# Set _fetcher and _tool. A background pipeline's number is that of its last process.
_begin_fetch() {
	case $1 in *:*) _url="http://[$1]:$2/$3/$_SHA" ;; *) _url="http://$1:$2/$3/$_SHA" ;; esac
	if command -v curl >/dev/null; then
		_tool=curl
		printf 'url = "%s"\n' "$_url" | {
			_into_file
			exec curl -q -s -f --noproxy '*' -K - >"$_file"
		} &
	elif _wget_takes_lists; then
		_tool=wget
		printf '%s\n' "$_url" | {
			_into_file
			exec wget --no-config -q -t 1 --no-proxy -O - -i - >"$_file"
		} &
	elif command -v nc >/dev/null; then
		_tool=nc
		printf 'GET /%s/%s\r\n' "$3" "$_SHA" | {
			_into_file
			exec nc "$1" "$2" >"$_file"
		} &
	else
		unset _url
		_detail=not_fetched_tool_missing
		return 1
	fi
	_fetcher=$!
	unset _url
	_uptime
}

# busybox has a wget that takes addresses as arguments only, where every user may read them.
_wget_takes_lists() {
	command -v wget >/dev/null && case $(wget --version 2>&1 8>&- 9>&-) in *'GNU Wget'*) ;; *) false ;; esac
}

# Read no more than the package's size, whatever answers. A block is 512 or 1024 bytes, depending on the shell.
_into_file() {
	exec 3<&- 4>&- 5>&- 8>&- 2>/dev/null
	[ "$_SIZE" = 0 ] || ulimit -f $((_SIZE / 512 + 1))
}

# _got: the sha256 of what was fetched. $1: how the tool ended.
_fetched() {
	case $1 in
	0) _detail=not_fetched_package_differs ;;
	143) _detail=not_fetched_silent ;;
	*) _reason not_fetched_failed "$_tool" "$1" ;;
	esac
	[ -s "$_file" ] || return 0
	{
		exec 3<&- 4>&- 5>&- 8>&-
		exec sha256sum <"$_file" >"$_RUN/sum"
	} &
	_uptime
	printf '%s 0 %s\n' "$_up" $! >"$_RUN/now"
	wait $!
	read -r _got _ <"$_RUN/sum"
}
