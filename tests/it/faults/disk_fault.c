/* Lets a disk fail for one process: what it writes and syncs below a folder fails with the first two numbers of a shared
   file, or takes the microseconds of the third; the fourth counts. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

static volatile int64_t *fault;
static const char *folder;

__attribute__((constructor)) static void open_fault(void) {
    const char *path = getenv("TEST_DISK_FAULT");
    folder = getenv("TEST_DISK_FOLDER");
    int file = path ? open(path, O_RDWR) : -1;
    void *shared = file < 0 ? MAP_FAILED : mmap(0, 32, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    fault = shared == MAP_FAILED || !folder ? 0 : shared;
}

/* Whether the call fails, once it has waited. */
static int fails(int file, int64_t error) {
    char link[64], path[4096];
    if (!fault || (!error && !fault[2])) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    if (strncmp(path, folder, strlen(folder))) return 0;
    if (fault[2]) usleep(fault[2]);
    if (!error && !fault[2]) return 0;
    __atomic_fetch_add(fault + 3, 1, __ATOMIC_RELAXED);
    if (error) errno = (int)error;
    return error != 0;
}

#define REAL(name, type) static type real; if (!real) real = (type)dlsym(RTLD_NEXT, #name)

typedef ssize_t (*write_call)(int, const void *, size_t);
typedef ssize_t (*pwrite_call)(int, const void *, size_t, off_t);
typedef int (*sync_call)(int);
typedef int (*truncate_call)(int, off_t);

ssize_t write(int file, const void *bytes, size_t count) {
    REAL(write, write_call);
    return fails(file, fault ? fault[0] : 0) ? -1 : real(file, bytes, count);
}

ssize_t pwrite(int file, const void *bytes, size_t count, off_t at) {
    REAL(pwrite, pwrite_call);
    return fails(file, fault ? fault[0] : 0) ? -1 : real(file, bytes, count, at);
}

ssize_t pwrite64(int file, const void *bytes, size_t count, off_t at) {
    REAL(pwrite64, pwrite_call);
    return fails(file, fault ? fault[0] : 0) ? -1 : real(file, bytes, count, at);
}

int fsync(int file) {
    REAL(fsync, sync_call);
    return fails(file, fault ? fault[1] : 0) ? -1 : real(file);
}

int fdatasync(int file) {
    REAL(fdatasync, sync_call);
    return fails(file, fault ? fault[1] : 0) ? -1 : real(file);
}

int ftruncate(int file, off_t length) {
    REAL(ftruncate, truncate_call);
    return fails(file, fault ? fault[0] : 0) ? -1 : real(file, length);
}
