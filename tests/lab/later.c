/* A machine on which time has gone by: preloaded, it adds the seconds of the variable LATER to the wall clock. Clocks that
 * nobody can set stay as they are. */
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static long later;

__attribute__((constructor)) static void read_later(void)
{
    const char *seconds = getenv("LATER");
    later = seconds ? atol(seconds) : 0;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    long failed = syscall(SYS_clock_gettime, clock, now);
    if (!failed && clock == CLOCK_REALTIME)
        now->tv_sec += later;
    return (int)failed;
}
