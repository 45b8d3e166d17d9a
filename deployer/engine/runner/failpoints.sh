# Only in an armed program (failpoints.py). $1 the point, $2 the step's position where there is one. Lines after the first in
# `.deployer/crash` are for later deaths of the same run.
_crash() {
	[ -e "$_BASE/crash" ] || return 0
	_point='' _at=''
	read -r _point _at <"$_BASE/crash"
	[ "$_point" = "$1" ] || return 0
	[ -z "$_at" ] || eval "[ \"\$_at\" = \"\${_name${2-}-}\" ]" || return 0
	sed 1d "$_BASE/crash" >"$_BASE/crash.next"
	if [ -s "$_BASE/crash.next" ]; then mv "$_BASE/crash.next" "$_BASE/crash"; else rm -f "$_BASE/crash" "$_BASE/crash.next"; fi
	_look $$
	_holders "$_session" $$ '' KILL
	kill -s KILL $$
}
