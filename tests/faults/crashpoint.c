/* Counts the calls by which processes change what stands below a folder, and makes one of them fatal or fail.

   Loaded with LD_PRELOAD into processes that know nothing of it.  Armed by crash_arm() through ctypes, or by the
   environment: CRASH_ROOT (folder), CRASH_SKIP (a folder below it that does not count, may be empty), CRASH_AT (number
   of the call, 0 for never), CRASH_ACTION, CRASH_ERRNO, CRASH_TRACE (file that gains a line for each call), CRASH_COUNT
   (file of 8 bytes that holds the number of calls, so that all processes of a command count together).

   Actions: before, after, torn kill the process group before the call, after it, or with half of its bytes written.
   error lets the call fail once with the errno, errors that call and every later one: a disk that is full or dead.
   power takes a mounted ext4 the plug out (crash_power) before the call, and kills.
   With crash_reads() opens, listings, reads and stats below the root and a second folder count instead of changes.

   Children that are forked count on with their parent.  Seen: libc calls of a process and its threads.  Not seen: raw
   system calls, io_uring, memory maps (SQLite's -shm, which is rebuilt).  */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { BEFORE, AFTER, TORN, ERROR, ERRORS, POWER };
/* What a hit leaves for its caller to do. */
enum { GO_ON, DO_AND_DIE, FAIL };

static const char *const names[] = {"before", "after", "torn", "error", "errors", "power"};
static char root[1024], skip[1024], plug[1024], second[1024];
static long own_count = 0;
static volatile long *count = &own_count;
static long target = 0;
static int action = BEFORE, number_of_error = ENOSPC, trace = -1, counts_reads = 0;
static void (*seen)(long number, const char *what, const char *path) = NULL;
static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

static ssize_t raw_write(int fd, const void *data, size_t size) {
    static ssize_t (*real)(int, const void *, size_t);
    if (!real) real = (ssize_t(*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
    return real(fd, data, size);
}

void crash_arm(const char *folder, const char *without, long at, const char *how, int trace_fd) {
    void *shared = mmap(NULL, sizeof(long), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared != MAP_FAILED) count = shared;
    snprintf(skip, sizeof skip, "%s", without ? without : "");
    *count = 0;
    target = at;
    action = BEFORE;
    for (int name = 0; how && name < (int)(sizeof names / sizeof *names); name++)
        if (!strcmp(how, names[name])) action = name;
    trace = trace_fd;
    snprintf(root, sizeof root, "%s", folder ? folder : "");
}

void crash_error(int number) { number_of_error = number; }
void crash_power(const char *mounted) { snprintf(plug, sizeof plug, "%s", mounted); }
void crash_watch(void (*watcher)(long, const char *, const char *)) { seen = watcher; }
void crash_reads(const char *also) {
    snprintf(second, sizeof second, "%s", also);
    counts_reads = 1;
}
long crash_count(void) { return *count; }

__attribute__((constructor)) static void from_environment(void) {
    const char *folder = getenv("CRASH_ROOT"), *at = getenv("CRASH_AT"), *file = getenv("CRASH_TRACE");
    const char *counter = getenv("CRASH_COUNT"), *error = getenv("CRASH_ERRNO");
    if (!folder) return;
    int fd = file && *file ? open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600) : -1;
    long before = 0;
    void *shared = MAP_FAILED;
    int counted = counter && *counter ? open(counter, O_RDWR | O_CLOEXEC) : -1;
    if (counted >= 0) shared = mmap(NULL, sizeof(long), PROT_READ | PROT_WRITE, MAP_SHARED, counted, 0);
    if (shared != MAP_FAILED) before = *(long *)shared;
    crash_arm(folder, getenv("CRASH_SKIP"), at ? atol(at) : 0, getenv("CRASH_ACTION"), fd);
    if (error) crash_error(atoi(error));
    if (shared != MAP_FAILED) {
        count = shared;
        *count = before;
    }
}

static void die(void) {
    if (action == POWER) {
        unsigned without_log = 2; /* EXT4_GOING_FLAGS_NOLOGFLUSH */
        int fd = open(plug, O_RDONLY | O_DIRECTORY);
        if (fd < 0 || ioctl(fd, _IOR('X', 125, unsigned), &without_log)) _exit(99);
    }
    kill(0, SIGKILL);
    for (;;) pause();
}

static int inside(const char *path, const char *folder) {
    size_t length = strlen(folder);
    return length && !strncmp(path, folder, length) && (!path[length] || path[length] == '/');
}

static int below(const char *path) {
    if (!path) return 0;
    if (counts_reads && inside(path, second)) return 1;
    return inside(path, root) && !(skip[0] && !strncmp(path, skip, strlen(skip)));
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

/* One call below the root: counted, written down, and if it is the one, fatal or failed. */
static int hit(int is_read, const char *what, const char *path) {
    if (is_read != counts_reads) return GO_ON;
    pthread_mutex_lock(&one_at_a_time);
    long number = __sync_add_and_fetch(count, 1);
    if (trace >= 0) {
        char line[1400];
        const char *shown = inside(path, root) ? path + strlen(root) : path;
        int length = snprintf(line, sizeof line, "%ld\t%s\t%s\n", number, what, shown);
        raw_write(trace, line, (size_t)length);
    }
    int is_it = target > 0 && (number == target || (action == ERRORS && number > target));
    if (is_it && (action == BEFORE || action == POWER)) die();
    pthread_mutex_unlock(&one_at_a_time);
    if (seen) seen(number, what, path);
    if (!is_it) return GO_ON;
    if (action == ERROR || action == ERRORS) {
        errno = number_of_error;
        return FAIL;
    }
    return DO_AND_DIE;
}

#define REAL(type, name, arguments) \
    static type(*real) arguments; \
    if (!real) real = (type(*) arguments)dlsym(RTLD_NEXT, name)

#define WRITES(name, type_offset) \
    ssize_t name(int fd, const void *data, size_t size, type_offset at) { \
        REAL(ssize_t, #name, (int, const void *, size_t, type_offset)); \
        char path[1200]; \
        int then = opened(fd, path, sizeof path) ? hit(0, "pwrite", path) : GO_ON; \
        if (then == FAIL) return -1; \
        if (then == DO_AND_DIE) { \
            real(fd, data, action == TORN ? size / 2 : size, at); \
            die(); \
        } \
        return real(fd, data, size, at); \
    }
WRITES(pwrite, off_t)
WRITES(pwrite64, off64_t)

ssize_t write(int fd, const void *data, size_t size) {
    char path[1200];
    int then = fd != trace && opened(fd, path, sizeof path) ? hit(0, "write", path) : GO_ON;
    if (then == FAIL) return -1;
    if (then == DO_AND_DIE) {
        raw_write(fd, data, action == TORN ? size / 2 : size);
        die();
    }
    return raw_write(fd, data, size);
}

#define SIMPLE(type, failed, is_read, name, what, is_below, parameters, values) \
    type name parameters { \
        REAL(type, #name, parameters); \
        char path[1200]; \
        int then = is_below ? hit(is_read, what, path) : GO_ON; \
        if (then == FAIL) return failed; \
        if (then == DO_AND_DIE) { \
            real values; \
            die(); \
        } \
        return real values; \
    }
#define ON_FILE(name, what, parameters, values) \
    SIMPLE(int, -1, 0, name, what, opened(fd, path, sizeof path), parameters, values)
#define ON_PATH(name, what, folder, subject, parameters, values) \
    SIMPLE(int, -1, 0, name, what, meant(folder, subject, path, sizeof path), parameters, values)

SIMPLE(ssize_t, -1, 0, writev, "write", opened(fd, path, sizeof path), (int fd, const struct iovec *pieces, int n),
       (fd, pieces, n))
ON_FILE(fsync, "fsync", (int fd), (fd))
ON_FILE(fdatasync, "fdatasync", (int fd), (fd))
ON_FILE(ftruncate, "ftruncate", (int fd, off_t length), (fd, length))
ON_FILE(ftruncate64, "ftruncate", (int fd, off64_t length), (fd, length))
ON_FILE(fchmod, "chmod", (int fd, mode_t mode), (fd, mode))
ON_FILE(fallocate, "fallocate", (int fd, int mode, off_t at, off_t length), (fd, mode, at, length))
/* These return the error itself. */
SIMPLE(int, number_of_error, 0, posix_fallocate, "fallocate", opened(fd, path, sizeof path),
       (int fd, off_t at, off_t length), (fd, at, length))
SIMPLE(int, number_of_error, 0, posix_fallocate64, "fallocate", opened(fd, path, sizeof path),
       (int fd, off64_t at, off64_t length), (fd, at, length))

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
ON_PATH(rmdir, "unlink", AT_FDCWD, old, (const char *old), (old))
ON_PATH(mkdir, "mkdir", AT_FDCWD, old, (const char *old, mode_t mode), (old, mode))
ON_PATH(mkdirat, "mkdir", a, old, (int a, const char *old, mode_t mode), (a, old, mode))
ON_PATH(chmod, "chmod", AT_FDCWD, old, (const char *old, mode_t mode), (old, mode))
ON_PATH(fchmodat, "chmod", a, old, (int a, const char *old, mode_t mode, int flags), (a, old, mode, flags))
ON_PATH(truncate, "ftruncate", AT_FDCWD, old, (const char *old, off_t length), (old, length))
ON_PATH(truncate64, "ftruncate", AT_FDCWD, old, (const char *old, off64_t length), (old, length))

SIMPLE(ssize_t, -1, 1, read, "read", opened(fd, path, sizeof path), (int fd, void *data, size_t size), (fd, data, size))
SIMPLE(ssize_t, -1, 1, pread, "read", opened(fd, path, sizeof path), (int fd, void *data, size_t size, off_t at),
       (fd, data, size, at))
SIMPLE(ssize_t, -1, 1, pread64, "read", opened(fd, path, sizeof path), (int fd, void *data, size_t size, off64_t at),
       (fd, data, size, at))
SIMPLE(DIR *, NULL, 1, opendir, "list", meant(AT_FDCWD, old, path, sizeof path), (const char *old), (old))
SIMPLE(DIR *, NULL, 1, fdopendir, "list", opened(fd, path, sizeof path), (int fd), (fd))

SIMPLE(struct dirent *, NULL, 1, readdir, "entry", counts_reads && opened(dirfd(listing), path, sizeof path),
       (DIR *listing), (listing))
SIMPLE(struct dirent64 *, NULL, 1, readdir64, "entry", counts_reads && opened(dirfd(listing), path, sizeof path),
       (DIR *listing), (listing))

#define LOOKS(name, is_below, parameters, values) \
    SIMPLE(int, -1, 1, name, "stat", counts_reads && is_below, parameters, values)
/* Code that was built against an older C library, DuckDB and Arrow, calls the second of each pair. */
#define STATS(suffix) \
    LOOKS(fstat##suffix, opened(fd, path, sizeof path), (int fd, struct stat##suffix *found), (fd, found)) \
    LOOKS(__fxstat##suffix, opened(fd, path, sizeof path), (int version, int fd, struct stat##suffix *found), \
          (version, fd, found)) \
    LOOKS(stat##suffix, meant(AT_FDCWD, old, path, sizeof path), (const char *old, struct stat##suffix *found), \
          (old, found)) \
    LOOKS(__xstat##suffix, meant(AT_FDCWD, old, path, sizeof path), \
          (int version, const char *old, struct stat##suffix *found), (version, old, found)) \
    LOOKS(lstat##suffix, meant(AT_FDCWD, old, path, sizeof path), (const char *old, struct stat##suffix *found), \
          (old, found)) \
    LOOKS(__lxstat##suffix, meant(AT_FDCWD, old, path, sizeof path), \
          (int version, const char *old, struct stat##suffix *found), (version, old, found)) \
    LOOKS(fstatat##suffix, meant(a, old, path, sizeof path), \
          (int a, const char *old, struct stat##suffix *found, int flags), (a, old, found, flags)) \
    LOOKS(__fxstatat##suffix, meant(a, old, path, sizeof path), \
          (int version, int a, const char *old, struct stat##suffix *found, int flags), \
          (version, a, old, found, flags))
STATS()
STATS(64)

/* Among changes an open counts where it makes a file or empties one, among reads always. */
static int is_change(int flags, const char *path) {
    struct stat found;
    return (flags & O_TRUNC) || ((flags & O_CREAT) && stat(path, &found) != 0);
}

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
        if ((counts_reads || (flags & (O_CREAT | O_TRUNC))) && meant(folder, old, path, sizeof path)) { \
            int then = GO_ON; \
            if (counts_reads) then = hit(1, "open", path); \
            else if (is_change(flags, path)) then = hit(0, "create", path); \
            if (then == FAIL) return -1; \
            if (then == DO_AND_DIE) { \
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
