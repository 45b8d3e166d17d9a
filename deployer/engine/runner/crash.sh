# Only in an armed program (crash.py). $1 the point, $2 the step's position where there is one.
_crash() {
	[ -e "$_BASE/crash" ] || return 0
	_point='' _at=''
	read -r _point _at <"$_BASE/crash"
	[ "$_point" = "$1" ] || return 0
	[ -z "$_at" ] || eval "[ \"\$_at\" = \"\${_name${2-}-}\" ]" || return 0
	rm -f "$_BASE/crash"
	_look $$
	_holders "$_session" $$ '' KILL
	kill -s KILL $$
}
