"""What the system under us says is wrong, in both languages.

Decides the words for its error numbers (POSIX, `errno.h`). Leaves what to do to whoever asked the
system for something.
"""

import errno

from cardcore.text import Text

_WORDS = {
    errno.EPERM: Text("不允许此操作", "not permitted"),
    errno.ENOENT: Text("没有这个文件或目录", "no such file or folder"),
    errno.EIO: Text("读写出错", "input or output failed"),
    errno.EACCES: Text("没有权限", "permission denied"),
    errno.EEXIST: Text("已存在", "exists already"),
    errno.ENOTDIR: Text("路径中有一段不是目录", "a part of the path is no folder"),
    errno.EISDIR: Text("是目录", "is a folder"),
    errno.EINVAL: Text("参数不合法", "an argument is not valid"),
    errno.EMFILE: Text("打开的文件过多", "too many files are open"),
    errno.ENFILE: Text("打开的文件过多", "too many files are open"),
    errno.ENOSPC: Text("磁盘没有空间", "no room is left on the disk"),
    errno.EDQUOT: Text("磁盘配额已用完", "the disk quota is used up"),
    errno.EROFS: Text("文件系统只读", "the file system is read-only"),
    errno.ENAMETOOLONG: Text("名称过长", "the name is too long"),
    errno.ENOTEMPTY: Text("目录不是空的", "the folder is not empty"),
    errno.EADDRINUSE: Text("地址已被占用", "the address is in use"),
    errno.EADDRNOTAVAIL: Text("本机没有这个地址", "this machine has no such address"),
    errno.ENETUNREACH: Text("网络不可达", "the network cannot be reached"),
    errno.EHOSTUNREACH: Text("主机不可达", "the host cannot be reached"),
    errno.ECONNREFUSED: Text("连接被拒绝", "the connection was refused"),
    errno.ECONNRESET: Text("连接被对方断开", "the other side ended the connection"),
    errno.ETIMEDOUT: Text("超时", "it took too long"),
}


def system_words(error: OSError) -> Text:
    """What is wrong, without where.

    >>> print(system_words(FileNotFoundError(errno.ENOENT, "No such file or directory", "city")))
    no such file or folder
    """
    number = 0 if error.errno is None else error.errno
    return _WORDS.get(number) or Text(f"系统错误 {number}", f"system error {number}")


def placed_system_words(error: OSError) -> Text:
    """The same after the file that the system named, if it named one.

    >>> print(placed_system_words(PermissionError(errno.EACCES, "Permission denied", "city")))
    city: permission denied
    """
    said = system_words(error)
    if not isinstance(error.filename, str):
        return said
    return Text(f"{error.filename}：{said.zh}", f"{error.filename}: {said.en}")
