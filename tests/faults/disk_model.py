"""What a disk may hold after the power went, worked out from what disk.cc has traced.

A file's bytes and a folder's entries are durable once a sync of that file or folder has come back; until then any part
of them may be on the disk or not. A sync that failed has lost what it was to make durable (the kernel has written the
pages off): a later one that succeeds does not bring it back.
"""

import ctypes
import mmap
import os
import struct

KINDS = ("open", "write", "sync", "rename", "unlink", "truncate", "mkdir")
OPEN, WRITE, SYNC, RENAME, UNLINK, TRUNCATE, MKDIR = range(7)
CLOSE, SYNC_BEGIN, DUP, SENT = 100, 101, 102, 103
SECTOR = 512
RECORD = struct.Struct("<BBHiqqII")

# How much of what was not durable is there.
#   nothing, all; torn: each file up to some byte of some write; names: renames and new files without their contents;
#   contents: the other way round; sectors: the last write's sectors each or not; mixed: each file as it comes
MODES = ("nothing", "all", "torn", "names", "contents", "sectors", "mixed")


class ControlFields(ctypes.Structure):
    """disk.cc's struct Control."""

    _fields_ = [
        ("calls", ctypes.c_uint64 * len(KINDS)), ("kinds", ctypes.c_uint32), ("error", ctypes.c_int32),
        ("skip", ctypes.c_int64), ("lasting", ctypes.c_uint32), ("partly", ctypes.c_uint32),
        ("failed", ctypes.c_uint64), ("quiet", ctypes.c_uint32),
    ]  # fmt: skip


class Control:
    """The file in shared memory through which a traced server is told which calls are to fail."""

    def __init__(self, path):
        with open(path, "wb") as f:
            f.write(b"\0" * ctypes.sizeof(ControlFields))
        self.file = open(path, "r+b")
        self.memory = mmap.mmap(self.file.fileno(), ctypes.sizeof(ControlFields))
        self.fields = ControlFields.from_buffer(self.memory)

    def calls(self):
        return list(self.fields.calls)

    def fail(self, kind, error, skip=0, lasting=False, partly=False):
        fields = self.fields
        fields.kinds = 0
        fields.error, fields.skip, fields.lasting, fields.partly, fields.failed = error, skip, lasting, partly, 0
        fields.kinds = 1 << kind

    def heal(self):
        self.fields.kinds = 0

    @property
    def failed(self):
        return self.fields.failed

    def close(self):
        del self.fields
        self.memory.close()
        self.file.close()


def records(path):
    """(kind, good, first path's length, fd, time in us, number, payload, call) of each traced call."""
    with open(path, "rb") as f:
        data = f.read()
    at = 0
    while at + RECORD.size <= len(data):
        kind, good, first, fd, time_us, number, size, call = RECORD.unpack_from(data, at)
        at += RECORD.size
        if at + size > len(data):
            return  # the kill came while it was being written
        yield kind, good, first, fd, time_us, number, data[at : at + size], call
        at += size


class File:
    def __init__(self, content=b""):
        self.durable = bytearray(content)
        self.pending = []  # [order, offset, bytes or None, size of a truncation, lost]
        self.size = len(content)

    def write(self, order, offset, data):
        self.pending.append([order, offset, data, 0, False])
        self.size = max(self.size, offset + len(data))

    def truncate(self, order, size):
        self.pending.append([order, 0, None, size, False])
        self.size = size

    def sync(self, before, good):
        """A sync that began before that order came back."""
        kept = []
        for change in self.pending:
            if change[0] >= before:
                kept.append(change)
            elif good:
                apply(self.durable, change)
            else:
                change[4] = True
                kept.append(change)
        self.pending = kept


def apply(content, change, upto=None):
    _, offset, data, size, lost = change
    if data is None:
        if size <= len(content):
            del content[size:]
        else:
            content.extend(bytes(size - len(content)))
        return
    data = data if upto is None else data[:upto]
    if lost:
        data = bytes(len(data))
    if offset > len(content):
        content.extend(bytes(offset - len(content)))
    content[offset : offset + len(data)] = data


class Folder:
    def __init__(self):
        self.durable, self.pending = {}, []  # [order, name, node or None]

    def entries(self, before):
        there = dict(self.durable)
        for order, name, node in self.pending:
            if order < before:
                if node is None:
                    there.pop(name, None)
                else:
                    there[name] = node
        return there

    def sync(self, before, good):
        if good:
            self.durable = self.entries(before)
            self.pending = [change for change in self.pending if change[0] >= before]


class Disk:
    """The model of everything below `root`, which begins as it is there now."""

    def __init__(self, root):
        self.root, self.order = root, 1
        self.top = self._read(root)
        self.open = {}  # fd: [node, position or None when it appends]
        self.syncs = {}  # call: (node, order)

    def _read(self, path):
        folder = Folder()
        for name in os.listdir(path):
            each = os.path.join(path, name)
            if os.path.isdir(each):
                folder.durable[name] = self._read(each)
            elif name != "log":
                with open(each, "rb") as f:
                    folder.durable[name] = File(f.read())
        return folder

    def _find(self, path):
        """The folder that holds it and its name; (None, "") for the root itself."""
        words = [w for w in os.path.relpath(path, self.root).split("/") if w not in ("", ".")]
        if not words:
            return None, ""
        node = self.top
        for word in words[:-1]:
            node = node.entries(self.order).get(word)
            if node is None:
                return Folder(), words[-1]  # of something that is not watched
        return node, words[-1]

    def _node(self, path):
        folder, name = self._find(path)
        return self.top if folder is None else folder.entries(self.order).get(name)

    def _put(self, path, node):
        folder, name = self._find(path)
        folder.pending.append((self.order, name, node))

    def play(self, record):
        kind, good, first, fd, _, number, payload, call = record
        self.order += 1
        if kind == OPEN:
            path = payload.decode()
            node = self._node(path)
            if node is None:
                node = File()
                self._put(path, node)
            elif number & os.O_TRUNC and node.size:
                node.truncate(self.order, 0)
            self.open[fd] = [node, None if number & os.O_APPEND else 0]
        elif kind == WRITE:
            at = self.open[fd]
            offset = number - 1 if number else at[0].size if at[1] is None else at[1]
            at[0].write(self.order, offset, payload)
            if at[1] is not None and not number:
                at[1] += len(payload)
        elif kind == SYNC_BEGIN:
            self.syncs[call] = (self.open[fd][0], self.order)
        elif kind == SYNC:
            node, before = self.syncs.pop(call)
            node.sync(before, good)
        elif kind == CLOSE:
            self.open.pop(fd, None)
        elif kind == DUP:
            self.open[number] = self.open[fd]
        elif kind == RENAME:
            old, new = payload[:first].decode(), payload[first:].decode()
            node = self._node(old)
            self._put(old, None)
            self._put(new, node)
        elif kind == UNLINK:
            self._put(payload.decode(), None)
        elif kind == TRUNCATE:
            node = self.open[fd][0] if fd >= 0 else self._node(payload.decode())
            node.truncate(self.order, number)
        elif kind == MKDIR:
            self._put(payload.decode(), Folder())

    def after_crash(self, r, mode):
        """{path: bytes} of what is found when the power comes back; folders map to None."""
        orders = [0, self.order + 1]
        names = {"nothing": 0, "contents": 0, "all": 1, "names": 1}.get(mode)
        before = orders[names] if names is not None else r.choice((*orders, self._some_order(r)))
        out = {}
        self._lay_out(self.top, "", before, r, mode, out)
        return out

    def _some_order(self, r):
        found = []

        def look(folder):
            found.extend(order for order, _, _ in folder.pending)
            for node in folder.entries(self.order + 1).values():
                if isinstance(node, Folder):
                    look(node)

        look(self.top)
        return r.choice(found) + 1 if found else 0

    def _lay_out(self, folder, prefix, before, r, mode, out):
        for name, node in folder.entries(before).items():
            path = prefix + name
            if isinstance(node, Folder):
                out[path] = None
                self._lay_out(node, path + "/", before, r, mode, out)
            else:
                out[path] = content_after_crash(node, r, mode)


def content_after_crash(file, r, mode):
    content = bytearray(file.durable)
    if mode == "mixed":
        mode = r.choice(("nothing", "all", "torn", "torn"))
    if mode in ("nothing", "names") or not file.pending:
        return bytes(content)
    count = len(file.pending)
    if mode == "torn":
        count = r.randrange(count + 1)
    last = None
    if mode in ("torn", "sectors"):
        count -= mode == "sectors"
        last = file.pending[count] if count < len(file.pending) else None
    for change in file.pending[:count]:
        apply(content, change)
    if last is None or last[2] is None:
        return bytes(content)
    if mode == "torn":
        apply(content, last, r.randrange(len(last[2]) + 1))
        return bytes(content)
    # The size is the new one; each sector of the write has come or holds zeros.
    _, offset, data, _, _ = last
    whole = bytearray(content)
    apply(whole, last)
    for start in range(offset // SECTOR * SECTOR, offset + len(data), SECTOR):
        if r.random() < 0.5:
            for i in range(max(start, len(content)), min(start + SECTOR, len(whole))):
                whole[i] = 0
    return bytes(whole)


def write_tree(tree, folder):
    for path, data in tree.items():
        path = os.path.join(folder, path)
        if data is None:
            os.makedirs(path, exist_ok=True)
            continue
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(data)
