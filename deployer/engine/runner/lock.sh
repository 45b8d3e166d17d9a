# Let one run at a time go on, and no late worker: the runner alone holds the lock, for as long as it lives.

_make_folders() {
	[ -d "$_BASE/runs" ] && [ -d "$_DIR/releases" ] && [ -d "$_DIR/shared" ] && return 0
	(umask 022 && mkdir -p "$_DIR/releases" "$_DIR/shared") && mkdir -p "$_BASE/runs"
}

# Two rows for one machine and folder would each treat what runs here as their own: the first one's mark stays, and the
# other one is refused. Where no mark can be left there is none.
_own_folder() {
	_mark=${_DIR%/*}/.deployer-host
	[ -n "${_MARK-}" ] || return 0
	if [ -r "$_mark" ]; then
		_found='' _name=''
		read -r _found _name <"$_mark"
		[ "$_found" = "${_MARK%% *}" ] || [ -z "$_found" ]
	else
		(umask 022 && printf '%s\n' "$_MARK" >"$_mark") 2>/dev/null || return 0
	fi
}

_lock() {
	# A redirection that fails would end the shell in `exec`.
	true >>"$_BASE/lock" || return 2
	exec 8>>"$_BASE/lock"
	flock -n 8
}

# Add the fence first and look then: of two runs that come at the same time, at most the one with the higher fence goes on.
_raise_fence() {
	# On a line of its own, also after one that was torn.
	printf '\n%s\n' "$_FENCE" >>"$_BASE/fence" || return 1
	_highest=0 _count=0
	# shellcheck disable=SC2094 # what is written is another file, which takes this one's name
	{
		_read_fences
		if [ "$_count" -gt 500 ] && [ "$_MODE" = start ]; then
			printf '%s\n' "$_highest" >"$_BASE/fence.new" && mv -f "$_BASE/fence.new" "$_BASE/fence"
			# A program that attaches holds no lock, and may have added to the old file meanwhile.
			_before=$_highest
			_read_fences
			[ "$_highest" = "$_before" ] || printf '%s\n' "$_highest" >>"$_BASE/fence"
		fi
	} <"$_BASE/fence"
	[ "$_highest" -le "$_FENCE" ] || _answer lower_fence "$_highest"
}

_read_fences() {
	while read -r _each; do
		_count=$((_count + 1))
		case $_each in '' | *[!0-9]* | ???????????????????*) continue ;; esac
		[ "$_each" -le "$_highest" ] || _highest=$_each
	done
}

# Every tool that the body needs; commands bring what they need themselves.
_need_tools() {
	for _each in flock dd mkdir mkfifo mv ln rm cat tail wc sleep tar gzip sha256sum tee find ls chmod; do
		command -v "$_each" >/dev/null || _answer no_tool "$_each"
	done
}
