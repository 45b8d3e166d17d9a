# Look before the stop for what would make a later step fail, as far as it shows: nothing here starts a process, but for
# the port of an install and a folder with a sticky bit.

# Part of `prepare`: whether current can be changed, and room on the disk for the end of the run, kept until it comes.
_can_end() {
	_has link || _has unlink || return 0
	if [ -e "$_DIR/current" ] && [ ! -L "$_DIR/current" ]; then
		_fault=not_ready && _reason current_is_no_link "$_DIR/current"
		return 1
	fi
	if [ -k "$_DIR" ] && [ ! -O "$_DIR" ] && [ -L "$_DIR/current" ] && ! _own_link; then
		_fault=not_writable && _reason sticky_folder "$_DIR/current" "$_DIR"
		return 1
	fi
	for _each in order trash; do
		[ ! -e "$_BASE/$_each" ] || [ -w "$_BASE/$_each" ] || {
			_fault=not_writable && _reason path_unwritable "$_BASE/$_each"
			return 1
		}
	done
	_reserve || {
		_fault=disk _detail=no_room
		return 1
	}
}

# Whether we may replace the link. root may replace any.
_own_link() {
	_uid=$(id -u 8>&- 9>&-)
	[ "$_uid" = 0 ] || [ -n "$(find "$_DIR/current" -prune -user "$_uid" 8>&- 9>&-)" ]
}

# The journal's lines, the order and the link need both blocks and inodes when the service stands still already.
_reserve() {
	{ printf '%16384s' '' >"$_RUN/reserve"; } 2>/dev/null || return 1
	_has link || return 0
	[ ! -L "$_BASE/current.$_OP" ] || rm -f "$_BASE/current.$_OP"
	ln -s "releases/$_NEW" "$_BASE/current.$_OP" 8>&- 9>&- || return 1
	_prepared="releases/$_NEW"
}

# Also what a run that died had kept: the recovery finds the file.
_release_reserve() {
	[ ! -s "$_RUN/reserve" ] || : >"$_RUN/reserve"
}

# Whether there is a step of the kind $1.
_has() {
	_n=0
	while [ "$_n" -lt "$_STEPS" ]; do
		eval "[ \"\$_kind$_n\" != $1 ]" || return 0
		_n=$((_n + 1))
	done
	return 1
}

# Whether the release is on the host, and not an empty folder: as after a clean-up that went wrong.
_is_filled() {
	for _each in "$_DIR/releases/$_NEW/"* "$_DIR/releases/$_NEW/".[!.]*; do
		if [ -e "$_each" ] || [ -L "$_each" ]; then return 0; fi
	done
	return 1
}

# A remark of `prepare` that prevents nothing, for the search of a cause later.
_notes() {
	[ -z "$_OLD" ] || [ -d "$_DIR/releases/$_OLD" ] || _note release_gone "releases/$_OLD"
	[ -n "${_AS-}" ] || [ -w "$_DIR/shared" ] || _note shared_unwritable "$_DIR/shared"
	case $_OLD$_ENV in
	*"export PORT='"*) _port=${_ENV##*"export PORT='"} _port=${_port%%"'"*} ;;
	*) return 0 ;;
	esac
	[ -z "$_OLD" ] && [ "$_port" -gt 0 ] && _has start || return 0
	_port_hex=$(printf '%04X' "$_port")
	! grep -Eqs "^ *[0-9]+: [0-9A-F]+:$_port_hex [0-9A-F]+:0000 0A " /proc/net/tcp /proc/net/tcp6 8>&- 9>&- ||
		_note port_taken "$_port"
}

_note() {
	_noted=$_detail
	_reason "$@"
	_detail=${_noted:+$_noted$_US}$_detail
}

# Read the commands without running them. $1: the first step; $2: "syntax" where that was not looked at yet. In a
# subshell, because a syntax error ends it; the last line that it prints says what is wrong.
_foresee() {
	_said=$(
		exec 2>&1 8>&- 9>&- </dev/null
		export RELEASE="$_DIR/releases/$_NEW"
		eval "$_ENV"
		# What undoes a stop is the start command: the step that it belongs to is named, so these come first.
		[ -z "$2" ] || for _part in run undo check undo_check; do _readable; done
		_n=$1 _known=yes
		while [ "$_n" -lt "$_STEPS" ]; do
			eval "_kind=\$_kind$_n _label=\$_name$_n _cmd=\$_run$_n"
			case $_known$_kind in
			yeshook | yesstart | yescheck) _can_run "$_cmd" || exit 1 ;;
			esac
			# What a command of the service makes is not known before it has run.
			[ "$_kind" != hook ] || _known=''
			_n=$((_n + 1))
		done
	) && return 0
	_fault=not_ready _detail=${_said##*"$_TAB"}
	return 1
}

_readable() {
	_n=0
	while [ "$_n" -lt "$_STEPS" ]; do
		eval "_label=\$_name$_n _cmd=\$_$_part$_n"
		printf '\tshell_syntax\036%s\036' "$_label"
		[ -z "$_cmd" ] || eval "_never()$_NL{$_NL:$_NL$_cmd$_NL$_NL}" || exit 1
		_n=$((_n + 1))
	done
}

# Whether the program of the command $1 is there, where it is one program by name and nothing more. Any other form is
# left to the shell.
_can_run() {
	case $1 in *[\;\|\&\`]* | *"$_NL"*) return 0 ;; esac
	_word=${1#"${1%%[! ]*}"}
	_word=${_word%% *}
	case $_word in \"*\"* | *\"*\") _word=${_word%%\"*}${_word#*\"} _word=${_word%%\"*}${_word#*\"} ;; esac
	_file=''
	# shellcheck disable=SC2016 # as the command spells them
	case $_word in
	'$RELEASE/'* | '${RELEASE}/'* | '$CURRENT/'* | '${CURRENT}/'*) _word=${_word#*/} _file=$RELEASE/$_word ;;
	/*) _file=$_word ;;
	*/*) _file=$RELEASE/${_word#./} ;;
	esac
	case $_word in '' | *[!A-Za-z0-9._/+-]*) return 0 ;; esac
	if [ -z "$_file" ]; then
		[ -n "${_AS-}" ] || command -v "$_word" >/dev/null || {
			printf '\tno_program\036%s\036%s' "$_label" "$_word"
			return 1
		}
		return 0
	fi
	case ${_AS:+user}$_file in user/*) case $_file in "$RELEASE"/*) ;; *) return 0 ;; esac ;; esac
	if [ ! -e "$_file" ]; then
		printf '\tno_file\036%s\036%s\036%s' "$_label" "$_word" "$_file"
		return 1
	fi
	[ -d "$_file" ] || [ -n "${_AS-}" ] || [ -x "$_file" ] || {
		printf '\tnot_executable\036%s\036%s\036%s' "$_label" "$_word" "$_file"
		return 1
	}
	_interpreter
}

# A script's first line names a program too.
_interpreter() {
	IFS= read -r _line <"$_file" || return 0
	case $_line in '#!'*) _line=${_line#'#!'} ;; *) return 0 ;; esac
	_line=${_line#"${_line%%[! ]*}"}
	_by=${_line%% *}
	case $_by in
	*/env)
		_by=${_line#* } _by=${_by%% *}
		case $_by in -* | *=*) return 0 ;; esac
		[ -n "${_AS-}" ] || command -v "$_by" >/dev/null
		;;
	*) [ -x "$_by" ] ;;
	esac && return 0
	_why=no_interpreter
	case $_by in *[[:cntrl:]]) _why=crlf_script ;; esac
	printf '\t%s\036%s\036%s\036%s' "$_why" "$_label" "$_word" "$_by"
	return 1
}
