# Run a command of the service: $1 the version it acts on, $2 its text, $3 "service" if the processes it leaves running
# do not belong to the run.
_command() {
	_say
	(
		trap - HUP PIPE
		umask 022
		export VERSION="$1" RELEASE="$_DIR/releases/$1" CURRENT="$_DIR/current" SHARED="$_DIR/shared"
		case $1 in
		"$_NEW") export OTHER_VERSION="$_OLD" ;;
		*) export OTHER_VERSION="$_NEW" ;;
		esac
		[ -z "$_IMAGES" ] || _show_image "$1"
		unset _sign_in
		cd "$RELEASE" 2>/dev/null || cd "$_DIR" || exit
		[ -z "$3" ] || exec 9>&-
		_text=$2
		[ -z "${_AS-}" ] || _become "$3"
		set --
		eval "$_ENV$_text"
	) </dev/null >&6 2>&6 3<&- 4>&- 5>&- 6>&- 7>&- 8>&-
}

# Repeat the check $2 for the version $1 until it passes, at most $3 seconds long: at once, and after growing pauses.
_wait_for() {
	_uptime
	_deadline=$((_up + $3 * 100)) _passes=0 _pause=0.1
	while :; do
		if _command "$1" "$2" ''; then
			_passes=$((_passes + 1))
			[ "$_passes" -lt "$_CHECK_PASSES" ] || return 0
		else
			_status=$? _passes=0
		fi
		[ ! -e "$_RUN/why" ] || return 1
		_uptime
		[ "$_up" -lt "$_deadline" ] || return 1
		sleep "$_pause" </dev/null 4>&- 5>&- 6>&- 8>&-
		case $_pause in
		0.1) _pause=0.2 ;;
		0.2) _pause=0.5 ;;
		*) _pause=1 ;;
		esac
	done
}
