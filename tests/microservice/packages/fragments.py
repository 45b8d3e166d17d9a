"""Values that the fuzz puts into headers of archives: kinds, sizes, names, link targets, magics, extended records."""

BLOCK = 512


KINDS = b"00\x00\x0011225555667LKLKxxgSDVMNXAEI34Z\xff "


SIZES = (0, 0, 0, 1, 2, 511, 512, 513, 1024, 1536, 10240, 1 << 20, 8**11 - 1)


NAMES = (
    b"",
    b"/",
    b".",
    b"./",
    b"..",
    b"../x",
    b"a",
    b"d",
    b"d/",
    b"d/f",
    b"d/f/",
    b"d/f/x",
    b"l/x",
    b"/etc/x",
    b"a//b",
    b"./a/./b",
    b"a/../b",
    b"d\0/../../x",
    b"x" * 100,
    b"y/" * 50,
    b"z" * 99 + b"/",
    b"\xff\xfe",
    b"smug",
    b"d/l",
    b"l",
    b"h",
    b"-rf",
    b" ",
)


LINKS = (
    b"",
    b"/etc",
    b"/",
    b"..",
    b"../..",
    b".",
    b"d",
    b"d/f",
    b"d/../..",
    b"l",
    b"smug",
    b"x" * 100,
    b"../../../../etc/passwd",
    b"a\0b",
)


MAGICS = (
    b"ustar\x0000",
    b"ustar  \0",
    bytes(8),
    b"ustar\0\0\0",
    b"ustar\x0001",
    b"ustar   ",
    b"USTAR\x0000",
    b"\0ustar 0",
)


RECORDS = (
    b"path=../x",
    b"path=/etc/x",
    b"path=",
    b"path=d/f",
    b"path=d/",
    b"path=smug",
    b"path=a\0b",
    b"path=" + b"n/" * 30,
    b"linkpath=/etc",
    b"linkpath=..",
    b"linkpath=d/f",
    b"size=0",
    b"size=512",
    b"size=1024",
    b"size=-1",
    b"size=1e3",
    b"size= 7",
    b"GNU.sparse.major=1",
    b"GNU.sparse.name=smug",
    b"GNU.sparse.size=512",
    b"GNU.sparse.map=0,1",
    b"GNU.sparse.realsize=9",
    b"SCHILY.realsize=512",
    b"SCHILY.filetype=dir",
    b"SCHILY.xattr.user.a=b",
    b"LIBARCHIVE.creationtime=1",
    b"hdrcharset=BINARY",
    b"hdrcharset=KOI8-R",
    b"mtime=1.5",
    b"mtime=-1",
    b"mtime=x",
    b"uid=0",
    b"uname=root",
    b"comment=c",
    b"x=y",
    b"=",
    b"path",
    b"typeflag=2",
    b"mode=4777",
    b"GNU.volume.label=l",
    b"GNU.dumpdir=Yx",
    b"RHT.security.selinux=x",
    b"VENDOR.path=smug",
)
