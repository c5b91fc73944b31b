/*
 * belfry-eval: runs jq programs for the daemon, locked in: no files, no network, no processes, no environment, bounded
 * memory. libjq is written for people's own programs on their own files; here it meets bodies sent by strangers, so it
 * runs in a child that has nothing to lose. Its time is bounded by the daemon, which kills it.
 *
 * `import`, `include`, `input`, `$ENV` and `input_filename` find nothing, `debug` and `stderr` go nowhere, local time is
 * UTC. Numbers are doubles, as ever in jq 1.6: integers beyond 2^53 lose their last digits.
 */
#include <errno.h>
#include <fcntl.h>
#include <jq.h>
#include <linux/close_range.h>
#include <malloc.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "belfry/triggers/eval.h"
#include "eval_wire.h"

#if defined(__SANITIZE_ADDRESS__)
#define WITH_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ASAN 1
#endif
#endif

#ifdef WITH_ASAN
/* AddressSanitizer maps terabytes, so RLIMIT_AS is not for it: the allocator keeps the bound, one block at a time. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0:allocator_may_return_null=1:max_allocation_size_mb=128:hard_rss_limit_mb=0:print_summary=0";
}
#endif

#define CACHE_MAX 64
/* What the program itself, its libraries and its stack may map beside EVAL_MEMORY_MAX. */
#define OWN_MEMORY (40 << 20)
/* Held between two requests: with more, compiled programs are let go, then the child. */
#define WORN_MEMORY (48 << 20)

struct words {
    char text[EVAL_WORDS_MAX];
    size_t len;
};

struct program {
    char *text;
    size_t len;
    jq_state *jq;
    unsigned long used;    /* by `turn`, for the least recently used */
};

static struct program cache[CACHE_MAX];
static unsigned long turn;

/* --- locking in --------------------------------------------------------------------------------------------------- */

static bool limit(__rlimit_resource_t what, rlim_t most)
{
    const struct rlimit both = {.rlim_cur = most, .rlim_max = most};
    return setrlimit(what, &both) == 0;
}

static bool set_limits(void)
{
#ifndef WITH_ASAN
    if (!limit(RLIMIT_AS, (rlim_t)EVAL_MEMORY_MAX + OWN_MEMORY))
        return false;
#endif
    return limit(RLIMIT_CORE, 0) && limit(RLIMIT_FSIZE, 0) && limit(RLIMIT_NPROC, 0) && limit(RLIMIT_NOFILE, 0) &&
           limit(RLIMIT_MEMLOCK, 0) && limit(RLIMIT_MSGQUEUE, 0);
}

static const int allowed[] = {
    SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(brk), SCMP_SYS(madvise),
    SCMP_SYS(exit), SCMP_SYS(exit_group), SCMP_SYS(futex), SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday),
    SCMP_SYS(getrandom), SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn),
    SCMP_SYS(restart_syscall),
};

/* What libjq and libc may try and need not get: they are told no, and go on. */
static const int refused[] = {
    SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(stat), SCMP_SYS(lstat), SCMP_SYS(fstat), SCMP_SYS(newfstatat),
    SCMP_SYS(statx), SCMP_SYS(access), SCMP_SYS(faccessat), SCMP_SYS(faccessat2), SCMP_SYS(readlink),
    SCMP_SYS(readlinkat), SCMP_SYS(getcwd), SCMP_SYS(ioctl), SCMP_SYS(lseek),
};

#ifdef WITH_ASAN
static const int of_sanitizers[] = {
    SCMP_SYS(sched_yield), SCMP_SYS(sigaltstack), SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(prctl),
    SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep),
};
#endif

static bool allow_all(scmp_filter_ctx filter, uint32_t action, const int *calls, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        /* A call that this machine's architecture does not have needs no rule. */
        const int rc = seccomp_rule_add(filter, action, calls[i], 0);
        if (rc != 0 && rc != -EDOM)
            return false;
    }
    return true;
}

/* Memory may be mapped and protected, but never made executable. */
static bool allow_memory(scmp_filter_ctx filter)
{
    const struct scmp_arg_cmp not_exec = SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
    if (seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, not_exec) != 0)
        return false;
    return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, not_exec) == 0;
}

static bool set_filter(void)
{
#ifdef WITH_ASAN
    const uint32_t otherwise = SCMP_ACT_ERRNO(EPERM);
#else
    const uint32_t otherwise = SCMP_ACT_KILL_PROCESS;
#endif
    scmp_filter_ctx filter = seccomp_init(otherwise);
    if (!filter)
        return false;
    bool good = allow_all(filter, SCMP_ACT_ALLOW, allowed, sizeof allowed / sizeof allowed[0]) &&
                allow_all(filter, SCMP_ACT_ERRNO(EACCES), refused, sizeof refused / sizeof refused[0]) &&
                allow_memory(filter);
#ifdef WITH_ASAN
    good = good && allow_all(filter, SCMP_ACT_ALLOW, of_sanitizers, sizeof of_sanitizers / sizeof of_sanitizers[0]);
#endif
    good = good && seccomp_load(filter) == 0;
    seccomp_release(filter);
    return good;
}

/* clearenv() would leave NULL, which jq's `env` reads. */
static char *no_environment[] = {NULL};

/* `parent` is who started it: when that one is gone already, PR_SET_PDEATHSIG came too late. 0: nobody to ask. */
static bool lock_in(pid_t parent)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || (parent != 0 && getppid() != parent))
        return false;
    environ = no_environment;
    if (chdir("/") != 0)
        return false;
    if (close_range(3, ~0u, 0) != 0 && errno != ENOSYS)
        return false;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_DUMPABLE, 0) != 0)
        return false;
    return set_limits() && set_filter();
}

/* --- the socket --------------------------------------------------------------------------------------------------- */

/* False at the end of the stream, if that falls between two frames; else the process ends. */
static bool get(void *into, size_t len, bool may_end)
{
    char *at = into;
    for (size_t have = 0; have < len;) {
        const ssize_t n = read(STDIN_FILENO, at + have, len - have);
        if (n < 0 && errno == EINTR)
            continue;
        if (n == 0 && have == 0 && may_end)
            return false;
        if (n <= 0)
            _exit(EVAL_EXIT_PROTOCOL);
        have += (size_t)n;
    }
    return true;
}

static void put(const void *bytes, size_t len)
{
    const char *at = bytes;
    while (len > 0) {
        const ssize_t n = write(STDOUT_FILENO, at, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            _exit(EVAL_EXIT_PROTOCOL);
        at += n;
        len -= (size_t)n;
    }
}

static void answer(uint32_t id, enum eval_status status, const char *text, size_t len)
{
    const struct eval_answer_head head = {.len = (uint32_t)len, .id = id, .status = status};
    put(&head, sizeof head);
    put(text, len);
}

/* --- programs ----------------------------------------------------------------------------------------------------- */

static void out_of_memory(void *data)
{
    (void)data;
    _exit(EVAL_EXIT_MEMORY);
}

static void words_add(struct words *words, const char *text, size_t len)
{
    const size_t room = sizeof words->text - words->len;
    const size_t n = len < room ? len : room;
    memcpy(words->text + words->len, text, n);
    words->len += n;
}

static void hear_compiler(void *data, jv message)
{
    struct words *words = data;
    const jv text = jq_format_error(message);
    if (jv_get_kind(text) == JV_KIND_STRING) {
        words_add(words, jv_string_value(text), (size_t)jv_string_length_bytes(jv_copy(text)));
        words_add(words, "\n", 1);
    }
    jv_free(text);
}

static void hear_nothing(void *data, jv message)
{
    (void)data;
    jv_free(message);
}

static jv no_input(jq_state *jq, void *data)
{
    (void)jq;
    (void)data;
    return jv_invalid();
}

static void program_drop(struct program *p)
{
    if (p->jq)
        jq_teardown(&p->jq);
    free(p->text);
    *p = (struct program){0};
}

/* A free place, or that of the program not used for longest. */
static struct program *program_place(void)
{
    struct program *oldest = &cache[0];
    for (size_t i = 0; i < CACHE_MAX; i++) {
        if (!cache[i].jq)
            return &cache[i];
        if (cache[i].used < oldest->used)
            oldest = &cache[i];
    }
    program_drop(oldest);
    return oldest;
}

/* Takes text over. NULL when it does not compile: `words` has the reason. */
static struct program *program_compile(char *text, size_t len, struct words *words)
{
    struct program *p = program_place();
    jq_state *jq = jq_init();
    if (!jq)
        _exit(EVAL_EXIT_MEMORY);
    jq_set_nomem_handler(jq, out_of_memory, NULL);
    jq_set_error_cb(jq, hear_compiler, words);
    jq_set_debug_cb(jq, hear_nothing, NULL);
    jq_set_input_cb(jq, no_input, NULL);
    jq_set_attr(jq, jv_string("JQ_LIBRARY_PATH"), jv_array());
    if (!jq_compile_args(jq, text, jv_array())) {
        jq_teardown(&jq);
        free(text);
        return NULL;
    }
    jq_set_error_cb(jq, hear_nothing, NULL);
    *p = (struct program){.text = text, .len = len, .jq = jq};
    return p;
}

static struct program *program_get(char *text, size_t len, struct words *words)
{
    for (size_t i = 0; i < CACHE_MAX; i++) {
        struct program *p = &cache[i];
        if (p->jq && p->len == len && memcmp(p->text, text, len) == 0) {
            free(text);
            p->used = ++turn;
            return p;
        }
    }
    if (memchr(text, '\0', len)) {
        static const char why[] = "there is a NUL in it";
        words_add(words, why, sizeof why - 1);
        free(text);
        return NULL;
    }
    struct program *p = program_compile(text, len, words);
    if (p)
        p->used = ++turn;
    return p;
}

/* --- requests ----------------------------------------------------------------------------------------------------- */

static void answer_failure(uint32_t id, jv message)
{
    const jv text = jv_get_kind(message) == JV_KIND_STRING ? message : jv_dump_string(message, 0);
    size_t len = (size_t)jv_string_length_bytes(jv_copy(text));
    if (len > EVAL_WORDS_MAX)
        len = EVAL_WORDS_MAX;
    answer(id, EVAL_FAILED, jv_string_value(text), len);
    jv_free(text);
}

static void answer_result(uint32_t id, jv result)
{
    const jv text = jv_dump_string(result, 0);
    const size_t len = (size_t)jv_string_length_bytes(jv_copy(text));
    if (len > EVAL_ANSWER_MAX)
        answer(id, EVAL_ANSWER_TOO_LONG, "", 0);
    else
        answer(id, EVAL_DONE, jv_string_value(text), len);
    jv_free(text);
}

/* The program ended without a further result: by itself (false), or by an error or halt, which is answered (true). */
static bool ended_badly(uint32_t id, jq_state *jq, jv last)
{
    if (jq_halted(jq)) {
        jv_free(last);
        answer(id, EVAL_HALTED, "", 0);
        return true;
    }
    if (jv_invalid_has_msg(jv_copy(last))) {
        answer_failure(id, jv_invalid_get_msg(last));
        return true;
    }
    jv_free(last);
    return false;
}

static void run(uint32_t id, jq_state *jq, jv value)
{
    jq_start(jq, value, 0);
    const jv result = jq_next(jq);
    if (!jv_is_valid(result)) {
        if (!ended_badly(id, jq, result))
            answer(id, EVAL_GAVE_NOTHING, "", 0);
        return;
    }
    const jv more = jq_next(jq);
    if (jv_is_valid(more)) {
        jv_free(more);
        jv_free(result);
        answer(id, EVAL_GAVE_SEVERAL, "", 0);
        return;
    }
    if (ended_badly(id, jq, more)) {
        jv_free(result);
        return;
    }
    answer_result(id, result);
}

/* Lets go of what the run still holds, so that it does not weigh on the next one. */
static void run_over(jq_state *jq)
{
    jq_start(jq, jv_null(), 0);
}

static char *get_text(uint32_t len)
{
    char *text = malloc((size_t)len + 1);
    if (!text)
        _exit(EVAL_EXIT_MEMORY);
    get(text, len, false);
    text[len] = '\0';
    return text;
}

static bool serve_one(void)
{
    struct eval_request_head head;
    if (!get(&head, sizeof head, true))
        return false;
    if (head.program_len > EVAL_REQUEST_MAX || head.value_len > EVAL_REQUEST_MAX - head.program_len)
        _exit(EVAL_EXIT_PROTOCOL);

    char *text = get_text(head.program_len);
    char *json = get_text(head.value_len);
    struct words words = {.len = 0};
    struct program *p = program_get(text, head.program_len, &words);
    if (!p) {
        free(json);
        answer(head.id, EVAL_BAD_PROGRAM, words.text, words.len);
        return true;
    }
    if (head.op == EVAL_COMPILE) {
        free(json);
        answer(head.id, EVAL_DONE, "", 0);
        return true;
    }
    const jv value = jv_parse_sized(json, (int)head.value_len);
    free(json);
    if (jv_is_valid(value)) {
        run(head.id, p->jq, value);
        run_over(p->jq);
    } else {
        answer_failure(head.id, jv_invalid_get_msg(value));
    }
    return true;
}

/* What a request left behind (a heap in shreds) must not make the next one fail. */
static void look_after_memory(void)
{
    struct mallinfo2 info = mallinfo2();
    if (info.arena + info.hblkhd < WORN_MEMORY)
        return;
    for (size_t i = 0; i < CACHE_MAX; i++)
        program_drop(&cache[i]);
    malloc_trim(0);
    info = mallinfo2();
    if (info.arena + info.hblkhd >= WORN_MEMORY)
        _exit(EVAL_EXIT_WORN);
}

int main(int argc, char **argv)
{
    const long parent = argc > 1 ? strtol(argv[1], NULL, 10) : 0;
    if (!lock_in((pid_t)parent))
        _exit(EVAL_EXIT_UNCONFINED);
    while (serve_one())
        look_after_memory();
    _exit(EVAL_EXIT_OVER);
}
