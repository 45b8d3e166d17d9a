# Only in the program of an operation with images: what commands see of them, the pull, and the end of images whose
# releases are removed. The engine is the host's: docker, else podman; called as commands are, with what they see.

_IMAGES=yes

# Called in a command's own shell.
_show_image() {
	case $1 in
	"$_NEW") export IMAGE="$_NEW_IMAGE" ;;
	*) export IMAGE="$_OLD_IMAGE" ;;
	esac
}

# _with: shell text that sets _engine, or ends with 96 where there is none. Commands that name podman alone have put their
# containers there.
_choose_engine() {
	_with='docker podman' _n=0
	while [ "$_n" -lt "$_STEPS" ]; do
		eval "_cmd=\$_run$_n"
		case $_cmd in *docker*) _with='docker podman' && break ;; *podman*) _with='podman docker' ;; esac
		_n=$((_n + 1))
	done
	_with="for _engine in $_with; do command -v \"\$_engine\" >/dev/null && break; _engine=''; done
[ -n \"\$_engine\" ] || exit 96
"
}

# Part of `prepare`. Another user's PATH is not known here: then it shows in the pull.
_has_engine() {
	_has pull && [ -z "${_AS-}" ] || return 0
	_choose_engine
	(eval "$_ENV$_with") >/dev/null 2>&1 8>&- 9>&-
	[ $? = 96 ] || return 0
	_fault=not_ready _detail=no_engine
	return 1
}

# A digest that the host has is not pulled, and the sign-in is not used.
_do_pull() {
	_is=$_NEW_IMAGE
	_choose_engine
	# shellcheck disable=SC2016 # for the command's own shell
	_command "$_acts" "$_with"'exec "$_engine" image inspect "$IMAGE" >/dev/null 2>&1' ''
	case $? in
	0)
		_status=0 _detail=image_there
		return 0
		;;
	96)
		_fault=not_ready _detail=no_engine
		return 1
		;;
	esac
	_signed=''
	if [ -e "$_RUN/why" ] || ! _hide_sign_in; then
		_show_no_more
		return 1
	fi
	# crash: signed_in
	# shellcheck disable=SC2016 # as above
	_command "$_acts" "$_signed$_with"'exec "$_engine" pull "$IMAGE"' ''
	_status=$?
	_show_no_more
	return "$_status"
}

# Put the sign-in where only the user that pulls can read it: in memory, where there is such a place. It reaches that
# process on its standard input, and the engine's client by the folder. The mark comes first: a recovery finds the folder.
_hide_sign_in() {
	[ -n "$_sign_in" ] || return 0
	read -r _folder </proc/sys/kernel/random/uuid
	for _place in /dev/shm /tmp; do
		printf '%s\n' "$_place/.deployer-$_folder" >"$_RUN/sign_in" || return 1
		# shellcheck disable=SC2016 # for the shell that is started
		printf '%s\n' "$_sign_in" | _as_user sh -c 'umask 077; mkdir "$1" && exec cat >"$1/config.json"' sh \
			"$_place/.deployer-$_folder" || {
			_as_user rm -rf "$_place/.deployer-$_folder"
			continue
		}
		# shellcheck disable=SC2016 # for the command's own shell
		_signed='[ -z "${DOCKER_TLS_VERIFY-}" ] || export DOCKER_CERT_PATH="${DOCKER_CERT_PATH:-${DOCKER_CONFIG:-$HOME/.docker}}"'
		_folder=$_place/.deployer-$_folder
		_signed="$_signed${_NL}export DOCKER_CONFIG=$_folder REGISTRY_AUTH_FILE=$_folder/config.json$_NL"
		return 0
	done
	_fault=disk _detail=no_place_for_sign_in
	return 1
}

_as_user() {
	if [ -n "${_AS-}" ]; then set -- sudo -n -u "$_AS" "$@"; fi
	"$@" 3<&- 4>&- 5>&- 7>&- 8>&-
}

# Also by a recovery.
_show_no_more() {
	_sign_in=''
	[ -s "$_RUN/sign_in" ] || return 0
	read -r _folder <"$_RUN/sign_in"
	case $_folder in
	/*/.deployer-*[!0-9a-f-]*) ;;
	/dev/shm/.deployer-* | /tmp/.deployer-*) _as_user rm -rf "$_folder" && rm -f "$_RUN/sign_in" 8>&- 9>&- ;;
	esac
}

# _images: those of the releases that go for good, each once.
_images_gone() {
	_images=''
	for _each in "$_BASE/trash/"*/*/image; do
		_read_image "$_each" || continue
		case " $_images" in *" $_image "*) ;; *) _images="$_images$_image " ;; esac
	done
}

# _image: what the file $1 names, where it is the only file of its release and names an image by its digest.
_read_image() {
	[ -f "$1" ] && [ ! -L "$1" ] || return 1
	for _other in "${1%/*}/"* "${1%/*}/".[!.]*; do
		[ "$_other" = "$1" ] || [ ! -e "$_other" ] || return 1
	done
	_image=$(dd if="$1" bs=1000 count=1 2>/dev/null 8>&- 9>&-)
	case $_image in [!A-Za-z0-9]* | *[!A-Za-z0-9.:@_/-]* | *@*@*) return 1 ;; *?@sha256:*) ;; *) return 1 ;; esac
	_digest=${_image##*@sha256:}
	case $_digest in *[!0-9a-f]*) return 1 ;; esac
	[ "${#_digest}" = 64 ]
}

# After the end, and under the lock again: where the next run has it by now, that one finds the same trash. Never forced:
# what a container of anyone is made from stays, as does what a service beside this one still has a release of.
_forget_images() {
	[ -n "$_images" ] || return 0
	_lock || return 1
	_choose_engine
	for _image in $_images; do
		[ -z "$(find "${_DIR%/*}/"*/releases/*/image -prune -type f -size -3 -exec grep -lxF -- "$_image" {} + 8>&-)" ] || continue
		_uptime
		printf '%s 8\n' "$_up" >"$_RUN/now"
		_start_watchdog undo
		# shellcheck disable=SC2016 # for the command's own shell
		_command "${_NEW:-$_OLD}" "$_with"'_used=$("$_engine" ps -aq --filter "ancestor='"$_image"'") && [ -z "$_used" ] &&
			exec "$_engine" image rm '"$_image" '' 6>/dev/null
		_stop_watchdog
		[ ! -e "$_RUN/why" ] || break
	done
	[ ! -s "$_RUN/text" ] || : >"$_RUN/text"
	rm -f "$_RUN/why" "$_RUN/killed" 8>&-
}
