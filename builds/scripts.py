"""Shell scripts that fetch a repository and pack the result. Values are passed as arguments."""

LIST_REFS = 'exec git ls-remote --heads --tags -- "$1"'
# $3: how many commits of history; 0: all, with every tag. Tags at the commit are always fetched.
FETCH = """
set -e
git init -q .
git remote add origin "$1"
if [ "$3" = 0 ]; then
    git fetch -q --tags origin "$2"
else
    git fetch -q --depth "$3" origin "+$2:refs/deployer/commit"
fi
git checkout -q --detach "$2"
"""
# A checkout without its submodules, or with Git LFS pointers, looks complete and is not. What git skips silently
# (update = none, lfs.fetchexclude) is checked afterwards. $1: as $3 above.
COMPLETE = r"""
set -e
refuse() {
    echo "$1"
    exit 1
}
keeps_lfs() {
    git ls-files -z | git check-attr -z --stdin filter | tr '\n\0' ' \n' | sed -n 'n;n;p' | grep -qx lfs
}
pointer() {
    git lfs ls-files | sed -n 's/^[^ ]* - //p' | head -n 1
}
fill() {
    keeps_lfs || return 0
    command -v git-lfs >/dev/null ||
        refuse "the repository keeps files in Git LFS, and this worker has no git-lfs (install the package git-lfs)"
    server=$(git lfs env | sed -n 's/^Endpoint[^=]*=\([^ ]*\).*/\1/p' | head -n 1)
    case ":$GIT_ALLOW_PROTOCOL:" in
        *":${server%%:*}:"*) ;;
        *) refuse "the address of the Git LFS server must be one of: $GIT_ALLOW_PROTOCOL" ;;
    esac
    git lfs install --local --skip-repo >/dev/null
    git lfs pull 2>"$TMPDIR/why" || refuse "files of Git LFS could not be fetched: $(why)"
    left=$(pointer)
    [ -z "$left" ] || refuse "of $left there is only the Git LFS pointer: lfs.fetchinclude or lfs.fetchexclude is set"
}
why() {
    grep -i -m 1 -E 'fatal:|error|not exist|not found|denied' "$TMPDIR/why" || tail -n 1 "$TMPDIR/why"
}
update() {
    git submodule --quiet update --init --recursive "$@" 2>"$TMPDIR/why"
}
unset GIT_ASKPASS SSH_ASKPASS  # git-lfs would ask it before git's own helper
fill
git ls-files --stage | grep -q '^160000' || exit 0
if [ "$1" = 0 ]; then
    update || refuse "a submodule could not be fetched: $(why)"
else
    update --depth "$1" || update || refuse "a submodule could not be fetched: $(why)"
fi
left=$(git submodule status --recursive | sed -n 's/^-[^ ]* //p' | head -n 1)
[ -z "$left" ] || refuse "the submodule $left was left out: .gitmodules says so"
git submodule --quiet foreach --recursive 'printf "%s\n" "$toplevel/$sm_path"' >"$TMPDIR/modules"
while IFS= read -r folder; do
    cd "$folder"
    fill
done <"$TMPDIR/modules"
"""
# All commits of the given branches and tags, without files if the server can omit them.
REACHES = """
set -e
git init -q --bare "$TMPDIR/reach"
cd "$TMPDIR/reach"
git fetch -q --no-tags --filter=tree:0 --stdin -- "$1" <"$3"
[ -n "$(git for-each-ref --count=1 --contains "$2" refs/reach)" ] || exit 42
"""
PACK = """
set -e
cd "$1"
find . -mindepth 2 -name .git -type f -exec rm -f {} + || true
[ -z "$(ls -A "$2")" ] || cd "$2"
find . -mindepth 1 -maxdepth 1 ! -name .git -printf '%P\\0' | LC_ALL=C sort -z |
    tar --create --gzip --null --verbatim-files-from --files-from=- --sort=name --owner=0 --group=0 --numeric-owner \\
        --format=pax --pax-option=delete=atime,delete=ctime
"""
# What an image is built from: $2 is our own name, which only our own files have; then what is copied, "." for all.
CONTEXT = """
set -e
cd "$1"
find . -mindepth 2 -name .git -type f -exec rm -f {} + || true
rm -rf -- "./$2"
shift 2
exec tar --create --exclude=./.git --exclude=.git --owner=0 --group=0 --numeric-owner --format=pax \\
    --pax-option=delete=atime,delete=ctime -- "$@"
"""
