# Every name of the program starts with _, so that none collides with a command's own.
# Descriptors: 3 standard input, later the output to be read; 4 what is shown; 5 events; 6 the output, appended to;
# 7 the journal; 8 the lock, held by the runner alone; 9 the marker, held by all processes of the run but by no service.
_TAB='	'
_NL='
'
# In a detail: between its parts, and before each value of a reason (journal.py, step_reasons.py).
_US=''
_RS=''
_unsaid='' _fault='' _lines='' _serves='' _sign_in='' _IMAGES=''

_paths() {
	_BASE=$_DIR/.deployer
	_RUN=$_BASE/runs/$_OP
	_STAGE=$_DIR/releases/.stage-$_OP
	_TRASH=$_BASE/trash/$_OP
}

# Exit statuses before anything is done: program.Answer.
_answer() {
	case $1 in
	cannot_write) _code=40 ;;
	lower_fence) _code=41 ;;
	busy) _code=42 ;;
	exists) _code=43 ;;
	no_run) _code=44 ;;
	no_tool) _code=45 ;;
	other_host) _code=47 ;;
	*) _code=46 ;;
	esac
	# Without this line, the status could be that of a forced command, which ran in the place of this program.
	_one_line "${2-}"
	printf '%s\n' "@$_NONCE answer $_text" >&5
	exit "$_code"
}
