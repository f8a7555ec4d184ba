/* Delay or fail some of the calls that write: preload it, then storm_set. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

static unsigned int state;
static int one_in; /* 0: calls neither fail nor wait */

void storm_set(unsigned int seed, int fail_one_in)
{
    state = seed;
    one_in = fail_one_in;
}

static int fails(void)
{
    if (!one_in)
        return 0;
    int drawn = rand_r(&state) % one_in;
    if (drawn == 1)
        usleep(rand_r(&state) % 20000);
    if (drawn != 0)
        return 0;
    errno = rand_r(&state) % 2 ? EIO : ENOSPC;
    return 1;
}

#define SHIM(type, name, parameters, arguments)                   \
    type name parameters                                          \
    {                                                             \
        static type (*real) parameters;                           \
        if (!real)                                                \
            *(void **)&real = dlsym(RTLD_NEXT, #name);            \
        return fails() ? (type)-1 : real arguments;               \
    }

SHIM(ssize_t, write, (int fd, const void *data, size_t count),
     (fd, data, count))
SHIM(ssize_t, pwrite, (int fd, const void *data, size_t count, off_t at),
     (fd, data, count, at))
SHIM(ssize_t, pwrite64, (int fd, const void *data, size_t count, off64_t at),
     (fd, data, count, at))
SHIM(int, fsync, (int fd), (fd))
SHIM(int, fdatasync, (int fd), (fd))
SHIM(int, ftruncate, (int fd, off_t size), (fd, size))
SHIM(int, ftruncate64, (int fd, off64_t size), (fd, size))
SHIM(int, rename, (const char *from, const char *to), (from, to))
SHIM(int, unlink, (const char *path), (path))
