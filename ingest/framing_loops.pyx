# cython: boundscheck=False, wraparound=False
"""The compiled twin of ``ingest.framing.plain_texts``."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE


def texts(bytes buffer not None, Py_ssize_t start, unsigned long long longest, list out not None):
    """Append the payloads of the whole text messages that stand at *start*; return where they end."""
    cdef const unsigned char* data = <const unsigned char*>PyBytes_AS_STRING(buffer)
    cdef Py_ssize_t end = PyBytes_GET_SIZE(buffer)
    cdef Py_ssize_t body
    cdef unsigned long long length
    cdef int n
    while end - start >= 2 and data[start] == 0x81:
        length, body = data[start + 1], start + 2
        if length > 127:
            break
        if length == 126:
            if end - start < 4:
                break
            length, body = data[start + 2] << 8 | data[start + 3], start + 4
        elif length == 127:
            if end - start < 10:
                break
            length, body = 0, start + 10
            for n in range(2, 10):
                length = length << 8 | data[start + n]
        if length > longest or length > <unsigned long long>(end - body):
            break
        out.append(PyBytes_FromStringAndSize(<const char*>data + body, <Py_ssize_t>length))
        start = body + <Py_ssize_t>length
    return start
