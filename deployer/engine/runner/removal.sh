# Remove from a host for good. A read-only folder resists `rm` and `mv`, unless root runs them: it is made writable first.
# What another user's folder holds cannot be removed, and is reported.

# Whether the release is there and of this package: a version that was deleted may have left another one of its name. One
# without a sum is from before there were any; a version without a package has nothing to compare.
_is_there() {
	_is_filled || return 1
	_sum=$_SHA
	[ ! -e "$_BASE/sum.$_NEW" ] || read -r _sum <"$_BASE/sum.$_NEW"
	case $_SHA in *[!0]*) [ "$_sum" = "$_SHA" ] ;; esac
}

# Put the stage in the release's place. The sum comes last: without it the release is sent once more, which is harmless.
_put_in_place() {
	if [ -d "$_DIR/releases/$_NEW" ]; then
		rm -f "$_BASE/sum.$_NEW" && mkdir -p "$_TRASH" && _move_release "$_DIR/releases/$_NEW" "$_TRASH" || return 1
	fi
	mv -T "$_STAGE" "$_DIR/releases/$_NEW" 8>&- 9>&- || [ ! -e "$_STAGE" ] || return 1
	printf '%s\n' "$_SHA" >"$_BASE/sum.$_NEW"
}

# Remove sums of releases that are gone. Best effort, in one process where there are any.
_forget_sums() {
	set --
	for _each in "$_BASE/sum."*; do
		[ ! -e "$_each" ] || [ -d "$_DIR/releases/${_each##*/sum.}" ] || set -- "$@" "$_each"
	done
	[ $# = 0 ] || rm -f "$@"
}

# Move the release $1 into $2. A folder gets another parent only from a user who may write in the folder itself.
_move_release() {
	mv "$1" "$2/" 2>/dev/null 8>&- 9>&- || { chmod u+rwx "$1" 8>&- 9>&- && mv "$1" "$2/" 8>&- 9>&-; }
}

# `find` reports a folder before it enters it, so each is made writable in time: by one process each, which are rare.
_remove_tree() {
	rm -rf "$1" 2>/dev/null 8>&- 9>&- && return
	find "$1" -type d ! -perm -700 -exec chmod u+rwx {} \; 2>/dev/null 8>&- 9>&-
	rm -rf "$1" 2>/dev/null 8>&- 9>&-
}

# _held: the first folder in $1 that holds something and is not ours to empty. Fails where there is none.
_held_below() {
	_held='' _me=''
	while read -r _each _me _; do [ "$_each" != Uid: ] || break; done </proc/self/status
	[ "$_me" != 0 ] && [ -e "$1" ] || return 1
	_found=$(find "$1" -type d ! -user "$_me" 2>/dev/null 8>&- 9>&-)
	while [ -n "$_found" ]; do
		_held=${_found%%"$_NL"*}
		if [ ! -w "$_held" ] || [ ! -x "$_held" ]; then
			[ -r "$_held" ] && [ -z "$(ls -A "$_held" 2>/dev/null)" ] || return 0
		fi
		[ "$_held" != "$_found" ] || break
		_found=${_found#*"$_NL"}
	done
	_held=''
	return 1
}

_cannot_remove() {
	_reason owned_by_another "${1#"$_DIR/"}"
}

# Part of `prepare` of a delete: find what could not be removed before anything is stopped.
_may_remove() {
	for _each in "$_DIR/releases" "$_BASE/trash"; do
		if _held_below "$_each"; then
			_cannot_remove "$_held"
			_fault=not_writable
			return 1
		fi
	done
}

# The last thing a delete does, before it says that it is done: from here on there is no way back, also for a recovery.
# _left: what stays all the same.
_remove_for_good() {
	: >"$_RUN/removing"
	# crash: removing
	_left=''
	for _each in "$_BASE/trash" "$_DIR/releases/"* "$_DIR/releases/.stage-"*; do
		[ ! -e "$_each" ] || _remove_tree "$_each" || _left="$_left ${_each#"$_DIR/"}"
	done
	[ -n "$_left" ] || return 0
	_named=''
	for _each in $_left; do
		! _held_below "$_DIR/$_each" || _each=${_held#"$_DIR/"}
		_named="$_named $_each"
	done
	_left=$_named
	return 1
}
