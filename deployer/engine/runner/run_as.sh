# Only in the program of a service that has its own user on the host: _AS. Its commands run through `sudo -n -u`, also
# where the runner is root. Environment and command go through the file `text`, which only the runner's user may open:
# argument lists are readable by every user, and sudo resets the environment.

# Replace the command's shell. sudo closes every descriptor from 3 on, so `text` itself, as descriptor 9, is the marker
# that the command's processes hold; a service ($1) holds none. A command that a full disk cut short is not run.
_become() {
	umask 077
	printf '%s\n' 'unset _T' 'umask 022' \
		"export VERSION='$VERSION' OTHER_VERSION='$OTHER_VERSION' RELEASE=$_QDIR/releases/'$VERSION'" \
		"export CURRENT=$_QDIR/current SHARED=$_QDIR/shared" ${_IMAGES:+"export IMAGE='$IMAGE'"} "$_ENV$_text" >"$_RUN/text" || {
		echo 'the command cannot be handed over: is the disk full?'
		exit 126
	}
	umask 022
	if [ -n "$1" ]; then _hold=''; else _hold='exec 9<&0; '; fi
	exec sudo -n -u "$_AS" sh -c "$_hold"'_T=$(cat) || exit 126; exec </dev/null; eval "$_T"' <"$_RUN/text"
}

# Whether processes of the service's user are left: of the session $1, or holders of the marker. They get the signal $2.
# The runner's user may neither see their descriptors nor signal them, so they are found and ended as that user.
_theirs() {
	[ -e "$_RUN/text" ] || return 1
	# shellcheck disable=SC2024 # opened as the runner's user, who alone may
	sudo -n -u "$_AS" sh -c '
		_left=1 _sid=$1 _signal=$2
		for _each in /proc/[0-9]*; do
			_pid=${_each#/proc/} _stat=""
			[ "$_pid" != $$ ] && kill -0 "$_pid" || continue
			while read -r _line; do _stat="$_stat$_line "; done <"$_each/stat" || continue
			set -- ${_stat##*) }
			case ${1-Z} in Z | X) continue ;; esac
			[ "${4-}" = "$_sid" ] || [ "$_each/fd/9" -ef /proc/$$/fd/0 ] || continue
			_left=0
			[ -z "$_signal" ] || kill -s "$_signal" "$_pid"
		done 2>/dev/null
		exit $_left' sh "$1" "$2" <"$_RUN/text" 2>/dev/null 3<&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-
}

# Part of `prepare`, before anything is stopped: check that the user exists, may be used, and reaches its releases.
_may_become() {
	command -v sudo >/dev/null || {
		_fault=run_as && _reason no_sudo "$_AS"
		return 1
	}
	_group=$(id -g "$_AS" 2>/dev/null 8>&- 9>&-) || {
		_fault=run_as && _reason no_user "$_AS"
		return 1
	}
	_close_releases || return 1
	_give_shared
	sudo -n -u "$_AS" sh -c 'cd "$1/releases" || exit 3' sh "$_DIR" 8>&- 9>&-
	case $? in
	0) return 0 ;;
	3) _fault=run_as && _reason user_cannot_enter "$_AS" "$_DIR/releases" ;;
	*) _fault=run_as && _reason user_unusable "$_AS" ;;
	esac
	return 1
}

# The folder around the releases decides who reads them: what is unpacked in it needs no change itself.
_close_releases() {
	[ -n "$_CLOSED" ] || {
		chmod 755 "$_DIR/releases" 8>&- 9>&-
		return
	}
	{ chgrp "$_group" "$_DIR/releases" && chmod 750 "$_DIR/releases"; } 8>&- 9>&- || {
		_fault=run_as && _reason releases_stay_open "$_AS"
		return 1
	}
}

# Best effort: a folder that was given to another user stays as it is.
_give_shared() {
	[ -O "$_DIR/shared" ] || return 0
	chown "$_AS" "$_DIR/shared" || { chgrp "$_group" "$_DIR/shared" && chmod 775 "$_DIR/shared"; } || return 0
} 2>/dev/null 8>&- 9>&-
