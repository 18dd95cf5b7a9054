/* Counts the calls by which a process changes what stands below a folder, and kills its process group at one of them.

   Loaded with LD_PRELOAD into a process that knows nothing of it.  Armed by crash_arm() through ctypes, or by the
   environment: CRASH_ROOT (folder), CRASH_SKIP (a folder below it that does not count, may be empty), CRASH_AT (number
   of the call, 0 for never), CRASH_ACTION (before, after, torn), CRASH_TRACE (file that gains a line for each call).

   Seen: libc calls of this process and its threads.  Not seen: raw system calls, io_uring, memory maps (SQLite's -shm,
   which is rebuilt).  "Durable" is what the name says to a reader that comes after a kill, not after a power cut.  */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { BEFORE, AFTER, TORN };

static char root[1024], skip[1024];
static volatile long count = 0;
static long target = 0;
static int action = BEFORE, trace = -1;
static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

static ssize_t raw_write(int fd, const void *data, size_t size) {
    static ssize_t (*real)(int, const void *, size_t);
    if (!real) real = (ssize_t(*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
    return real(fd, data, size);
}

void crash_arm(const char *folder, const char *without, long at, const char *how, int trace_fd) {
    snprintf(root, sizeof root, "%s", folder ? folder : "");
    snprintf(skip, sizeof skip, "%s", without ? without : "");
    count = 0;
    target = at;
    action = how && !strcmp(how, "after") ? AFTER : how && !strcmp(how, "torn") ? TORN : BEFORE;
    trace = trace_fd;
}

long crash_count(void) { return count; }

__attribute__((constructor)) static void from_environment(void) {
    const char *folder = getenv("CRASH_ROOT"), *at = getenv("CRASH_AT"), *file = getenv("CRASH_TRACE");
    if (!folder) return;
    int fd = file && *file ? open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600) : -1;
    crash_arm(folder, getenv("CRASH_SKIP"), at ? atol(at) : 0, getenv("CRASH_ACTION"), fd);
}

static void die(void) {
    kill(0, SIGKILL);
    for (;;) pause();
}

static int below(const char *path) {
    size_t length = strlen(root), without = strlen(skip);
    if (!length || !path || strncmp(path, root, length) || (path[length] && path[length] != '/')) return 0;
    return !(without && !strncmp(path, skip, without));
}

/* The absolute path that an argument means, in `out`; 0 where it does not lie below the root. */
static int meant(int folder, const char *path, char *out, size_t size) {
    char link[64], base[1024];
    if (!root[0] || !path) return 0;
    if (path[0] == '/') {
        snprintf(out, size, "%s", path);
        return below(out);
    }
    if (folder == AT_FDCWD) {
        if (!getcwd(base, sizeof base)) return 0;
    } else {
        snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
        ssize_t length = readlink(link, base, sizeof base - 1);
        if (length <= 0) return 0;
        base[length] = 0;
    }
    snprintf(out, size, "%s/%s", base, path);
    return below(out);
}

static int opened(int fd, char *out, size_t size) {
    char link[64];
    if (!root[0] || fd < 0) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, out, size - 1);
    if (length <= 0) return 0;
    out[length] = 0;
    return below(out);
}

/* One call below the root: counted, written down, and if it is the one, fatal.  Says what is left for the caller to do. */
static int hit(const char *what, const char *path) {
    pthread_mutex_lock(&one_at_a_time);
    long number = ++count;
    if (trace >= 0) {
        char line[1400];
        int length = snprintf(line, sizeof line, "%ld\t%s\t%s\n", number, what, path + strlen(root));
        raw_write(trace, line, (size_t)length);
    }
    int fatal = target > 0 && number == target;
    if (fatal && action == BEFORE) die();
    pthread_mutex_unlock(&one_at_a_time);
    return fatal;
}

#define REAL(type, name, arguments) \
    static type(*real) arguments; \
    if (!real) real = (type(*) arguments)dlsym(RTLD_NEXT, name)

#define WRITES(name, type_offset) \
    ssize_t name(int fd, const void *data, size_t size, type_offset at) { \
        REAL(ssize_t, #name, (int, const void *, size_t, type_offset)); \
        char path[1200]; \
        if (opened(fd, path, sizeof path) && hit("pwrite", path)) { \
            real(fd, data, action == TORN ? size / 2 : size, at); \
            die(); \
        } \
        return real(fd, data, size, at); \
    }
WRITES(pwrite, off_t)
WRITES(pwrite64, off64_t)

ssize_t write(int fd, const void *data, size_t size) {
    char path[1200];
    if (fd != trace && opened(fd, path, sizeof path) && hit("write", path)) {
        raw_write(fd, data, action == TORN ? size / 2 : size);
        die();
    }
    return raw_write(fd, data, size);
}

ssize_t writev(int fd, const struct iovec *pieces, int number) {
    REAL(ssize_t, "writev", (int, const struct iovec *, int));
    char path[1200];
    if (opened(fd, path, sizeof path) && hit("write", path)) {
        real(fd, pieces, number);
        die();
    }
    return real(fd, pieces, number);
}

#define ON_FILE(name, what, parameters, values) \
    int name parameters { \
        REAL(int, #name, parameters); \
        char path[1200]; \
        if (opened(fd, path, sizeof path) && hit(what, path)) { \
            real values; \
            die(); \
        } \
        return real values; \
    }
ON_FILE(fsync, "fsync", (int fd), (fd))
ON_FILE(fdatasync, "fdatasync", (int fd), (fd))
ON_FILE(ftruncate, "ftruncate", (int fd, off_t length), (fd, length))
ON_FILE(ftruncate64, "ftruncate", (int fd, off64_t length), (fd, length))
ON_FILE(fchmod, "chmod", (int fd, mode_t mode), (fd, mode))
ON_FILE(fallocate, "fallocate", (int fd, int mode, off_t at, off_t length), (fd, mode, at, length))
ON_FILE(posix_fallocate, "fallocate", (int fd, off_t at, off_t length), (fd, at, length))
ON_FILE(posix_fallocate64, "fallocate", (int fd, off64_t at, off64_t length), (fd, at, length))

#define ON_PATH(name, what, folder, subject, parameters, values) \
    int name parameters { \
        REAL(int, #name, parameters); \
        char path[1200]; \
        if (meant(folder, subject, path, sizeof path) && hit(what, path)) { \
            real values; \
            die(); \
        } \
        return real values; \
    }
ON_PATH(rename, "rename", AT_FDCWD, new, (const char *old, const char *new), (old, new))
ON_PATH(renameat, "rename", b, new, (int a, const char *old, int b, const char *new), (a, old, b, new))
ON_PATH(renameat2, "rename", b, new, (int a, const char *old, int b, const char *new, unsigned flags),
        (a, old, b, new, flags))
ON_PATH(link, "link", AT_FDCWD, new, (const char *old, const char *new), (old, new))
ON_PATH(linkat, "link", b, new, (int a, const char *old, int b, const char *new, int flags), (a, old, b, new, flags))
ON_PATH(symlink, "symlink", AT_FDCWD, new, (const char *old, const char *new), (old, new))
ON_PATH(symlinkat, "symlink", a, new, (const char *old, int a, const char *new), (old, a, new))
ON_PATH(unlink, "unlink", AT_FDCWD, old, (const char *old), (old))
ON_PATH(unlinkat, "unlink", a, old, (int a, const char *old, int flags), (a, old, flags))
ON_PATH(remove, "unlink", AT_FDCWD, old, (const char *old), (old))
ON_PATH(mkdir, "mkdir", AT_FDCWD, old, (const char *old, mode_t mode), (old, mode))
ON_PATH(mkdirat, "mkdir", a, old, (int a, const char *old, mode_t mode), (a, old, mode))
ON_PATH(chmod, "chmod", AT_FDCWD, old, (const char *old, mode_t mode), (old, mode))
ON_PATH(fchmodat, "chmod", a, old, (int a, const char *old, mode_t mode, int flags), (a, old, mode, flags))
ON_PATH(truncate, "ftruncate", AT_FDCWD, old, (const char *old, off_t length), (old, length))
ON_PATH(truncate64, "ftruncate", AT_FDCWD, old, (const char *old, off64_t length), (old, length))

/* An open counts where it makes a file or empties one. */
#define OPENS(name, folder, parameters, values) \
    int name parameters { \
        REAL(int, #name, parameters); \
        char path[1200]; \
        mode_t mode = 0; \
        if (flags & (O_CREAT | O_TMPFILE)) { \
            va_list rest; \
            va_start(rest, flags); \
            mode = va_arg(rest, mode_t); \
            va_end(rest); \
        } \
        if ((flags & (O_CREAT | O_TRUNC)) && meant(folder, old, path, sizeof path)) { \
            struct stat found; \
            if (((flags & O_TRUNC) || stat(path, &found) != 0) && hit("create", path)) { \
                real values; \
                die(); \
            } \
        } \
        return real values; \
    }
OPENS(open, AT_FDCWD, (const char *old, int flags, ...), (old, flags, mode))
OPENS(open64, AT_FDCWD, (const char *old, int flags, ...), (old, flags, mode))
OPENS(openat, a, (int a, const char *old, int flags, ...), (a, old, flags, mode))
OPENS(openat64, a, (int a, const char *old, int flags, ...), (a, old, flags, mode))
