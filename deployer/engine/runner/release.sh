# The release: received, put in its place by rename, and linked by `current`, by rename too.

# Hash and unpack what comes in, in one pass. Every part's status counts: a pipeline would show the last one's only.
_take_in() {
	_say
	# They stay for the next run: processes that held them were ended with their run.
	[ -p "$_BASE/p3" ] || {
		rm -f "$_BASE/p1" "$_BASE/p2" "$_BASE/p3"
		mkfifo "$_BASE/p1" "$_BASE/p2" "$_BASE/p3" || return 1
	}
	# The lock is closed first and by itself: opening a pipe waits for its other end, which may never come, and a shell
	# that redirects a command keeps copies until the command runs.
	{
		exec 3<&- 4>&- 5>&- 8>&-
		exec sha256sum <"$_BASE/p1" >"$_RUN/sum"
	} &
	_hash=$!
	{
		exec 3<&- 4>&- 5>&- 8>&-
		exec gzip -dc <"$_BASE/p2" >"$_BASE/p3"
	} &
	_gzip=$!
	{
		exec 3<&- 4>&- 5>&- 8>&-
		umask 022
		# GNU tar alone reads this: root's would keep set-uid bits, and ignore the umask. There is no short option for it.
		export TAR_OPTIONS='--no-same-permissions --no-same-owner'
		exec tar -xof - -C "$_STAGE" <"$_BASE/p3"
	} &
	_tar=$!
	{
		exec 4>&- 5>&- 8>&-
		exec tee "$_BASE/p1" <&3 >"$_BASE/p2"
	} &
	_uptime
	printf '%s 0 %s\n' "$_up" $! >"$_RUN/now"
	wait $!
	wait $_hash
	_got=''
	read -r _got _ <"$_RUN/sum"
	wait $_gzip
	_gzip=$?
	wait $_tar
	_tar=$?
}

# Check the stage before it gets its name, by one process (two where there are links): whatever tar read out of the
# package, a release holds files, folders and links that stay inside, and no file with a set-uid or set-gid bit. A folder
# may have a set-gid bit from the one above. The stage's own mode is ours, whatever the package says of its root.
_look_through() {
	_found=$(
		find "$_STAGE" -type d -name ".stage-$_OP" ! -perm 755 -exec chmod 755 {} \; -o \
			\( ! -type f ! -type d ! -type l -o -type f \( -perm -4000 -o -perm -2000 \) \) -print -o \
			-type l -exec ls -ld {} + 8>&- 9>&-
	) || {
		_detail=package_unsearchable
		return 1
	}
	while [ -n "$_found" ]; do
		_line=${_found%%"$_NL"*}
		_inside "${_line#*"$_STAGE/"}" || return 1
		[ "$_line" != "$_found" ] || return 0
		_found=${_found#*"$_NL"}
	done
}

# $1: `name -> target`, as ls says it, or the name of what must not be there.
_inside() {
	_to=${1#*' -> '}
	case $_line in
	l*"$_STAGE/"*' -> '*' -> '*) ;;
	l*"$_STAGE/"*' -> '*)
		case $_to in
		/*) ;;
		*..*) _stays "${1%%' -> '*}" "$_to" && return 0 ;;
		*) return 0 ;;
		esac
		_fault=package && _reason link_outside "$1"
		return 1
		;;
	esac
	_fault=package && _reason special_file "$1"
	return 1
}

# Whether the link $1 to $2 leads no higher than the release, taken by its words.
_stays() {
	_rest=$1 _depth=0
	while case $_rest in */*) ;; *) false ;; esac do
		_rest=${_rest#*/} _depth=$((_depth + 1))
	done
	_rest=$2/
	while [ -n "$_rest" ]; do
		case ${_rest%%/*} in
		'' | .) ;;
		..) _depth=$((_depth - 1)) ;;
		*) _depth=$((_depth + 1)) ;;
		esac
		[ "$_depth" -ge 0 ] || return 1
		_rest=${_rest#*/}
	done
}

# _where: what current points at, as text.
_linked() {
	_where=''
	[ -L "$_DIR/current" ] || return 0
	for _each in "$_NEW" "$_OLD"; do
		_where=releases/$_each
		[ -n "$_each" ] && [ "$_DIR/current" -ef "$_DIR/$_where" ] && return 0
	done
	_where=$(readlink "$_DIR/current")
}

# Point current at $1, or remove it if that is nothing. Never missing in between.
_link() {
	if [ -z "$1" ]; then
		rm -f "$_DIR/current"
		return
	fi
	if [ "$1" != "${_prepared-}" ]; then
		[ ! -L "$_BASE/current.$_OP" ] || rm -f "$_BASE/current.$_OP"
		ln -s "$1" "$_BASE/current.$_OP" || return
	fi
	_prepared=''
	# crash: swap
	mv -fT "$_BASE/current.$_OP" "$_DIR/current" 8>&- 9>&-
}

# _free: KiB that are left for us on the disk.
_free_space() {
	_free=$(df -Pk "$_DIR/releases" | {
		read -r _
		read -r _ _ _ _free _ && echo "$_free"
	})
	case $_free in *[!0-9]*) _free='' ;; esac
}

_room() {
	_wanted=$((_DISK_RESERVE + 2 * _SIZE))
	[ "$_DISK_RESERVE" -gt 0 ] || [ "$_SIZE" -gt 8388608 ] || return 0
	_free_space
	[ -z "$_free" ] || [ $((_free * 1024)) -ge "$_wanted" ] || {
		_fault=disk && _reason disk_space "$_free" $((_wanted / 1024))
		return 1
	}
}

# The newest first, each once: what was linked here, by the order file.
_order() {
	_known=' ' _count=0
	[ -e "$_BASE/order" ] || return 0
	while read -r _each; do
		_count=$((_count + 1))
		case $_known in *" $_each "*) _known="${_known%%" $_each "*} ${_known#*" $_each "}" ;; esac
		_known=" $_each$_known"
	done <"$_BASE/order"
}

_shorten_order() {
	[ "$_count" -gt 100 ] || return 0
	_text=''
	for _each in $_known; do
		[ ! -d "$_DIR/releases/$_each" ] || _text=$_each$_NL$_text
	done
	printf '%s' "$_text" >"$_BASE/order"
}

# _gone: superfluous releases. The newest stay, and always those of this operation.
_superfluous() {
	_order
	_shorten_order
	_kept=0 _stay=" $_NEW $_OLD "
	for _each in $_known; do
		[ -d "$_DIR/releases/$_each" ] || continue
		[ "$_kept" -lt "$_KEEP" ] || break
		_kept=$((_kept + 1)) _stay="$_stay$_each "
	done
	_gone=''
	for _each in "$_DIR/releases/"*; do
		case ${_each##*/} in *[!A-Za-z0-9._+-]*) continue ;; esac
		case $_stay in *" ${_each##*/} "*) continue ;; esac
		[ -d "$_each" ] && _gone="$_gone ${_each##*/}"
	done
}
