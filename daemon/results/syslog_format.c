/* Lines of runs, in three formats and the same words. */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "belfry/base/buf.h"
#include "belfry/base/text.h"
#include "belfry/base/time.h"
#include "belfry/results/syslog.h"

#define LINE_MAX_BYTES 8192
/* So long may values be that a line never is: each of their bytes may want an escape. */
#define SHORT_MAX 200
#define ERROR_MAX 1024
#define PATH_MAX_SHOWN 1500
#define WORD_MAX 1536

struct word {
    const char *name;
    const char *journal;
    char value[WORD_MAX];
};

#define WORDS_MAX 12

/* Who says what: a start (no text, no end), a failure to start (text), an end. */
static const char *verb(const struct run_record *run, const char *text)
{
    if (text != NULL)
        return "start failed";
    return run_state_is_end(run->state) ? run_state_name(run->state) : "started";
}

static int severity(const struct run_record *run, const char *text)
{
    if (text != NULL)
        return 4;
    switch (run->state) {
    case RUN_FAILED: case RUN_TIMED_OUT: case RUN_LOST:
        return 3;
    case RUN_CANCELED:
        return 5;
    default:
        return 6;
    }
}

/* Cut at a character's border, control characters made harmless. */
static void put(struct word *w, const char *name, const char *journal, size_t max, const char *value)
{
    struct buf shown = { 0 };
    size_t len;

    w->name = name;
    w->journal = journal;
    text_printable(value, strlen(value), &shown);
    len = shown.len < max ? shown.len : max;
    while (len < shown.len && len > 0 && ((unsigned char)shown.data[len] & 0xC0) == 0x80)
        len--;
    memcpy(w->value, buf_str(&shown), len);
    w->value[len] = '\0';
    buf_close(&shown);
}

static size_t collect_words(struct word words[WORDS_MAX], const struct run_record *run, const char *text, const char *results,
                            bool again)
{
    char trigger[300], number[32];
    size_t n = 0;

    (void)snprintf(trigger, sizeof trigger, "%s/%s", trigger_kind_name(run->trigger_kind), run->trigger_name);
    put(&words[n++], "run", "BELFRY_RUN", SHORT_MAX, run->id);
    put(&words[n++], "process", "BELFRY_PROCESS", SHORT_MAX, run->process);
    put(&words[n++], "trigger", "BELFRY_TRIGGER", SHORT_MAX, trigger);
    put(&words[n++], "state", "BELFRY_STATE", SHORT_MAX, text != NULL ? "start_failed" : run_state_is_end(run->state) ?
        run_state_name(run->state) : "started");
    if (run->remote_id != NULL)
        put(&words[n++], "remote", "BELFRY_REMOTE", SHORT_MAX, run->remote_id);
    if (run_state_is_end(run->state) && run->started_ms != 0 && run->ended_ms >= run->started_ms) {
        (void)snprintf(number, sizeof number, "%lld", (long long)(run->ended_ms - run->started_ms));
        put(&words[n++], "duration_ms", "BELFRY_DURATION_MS", SHORT_MAX, number);
    }
    if (run_state_is_end(run->state) && run->has_exit_code) {
        (void)snprintf(number, sizeof number, "%d", run->exit_code);
        put(&words[n++], "exit_code", "BELFRY_EXIT_CODE", SHORT_MAX, number);
    }
    if (text != NULL || run->error_code != NULL)
        put(&words[n++], "error", "BELFRY_ERROR", ERROR_MAX, text != NULL ? text :
            run->error_message != NULL ? run->error_message : run->error_code);
    if (results != NULL && run_state_is_end(run->state))
        put(&words[n++], "results", "BELFRY_RESULTS", PATH_MAX_SHOWN, results);
    if (again)
        put(&words[n++], "again", "BELFRY_AGAIN", SHORT_MAX, "maybe");
    return n;
}

/* RFC 5424 §6.3.3: these three are escaped, nothing else. */
static void add_escaped(struct buf *b, const char *value, const char *escape)
{
    for (; *value != '\0'; value++) {
        if (strchr(escape, *value) != NULL)
            buf_addc(b, '\\');
        buf_addc(b, *value);
    }
}

static void cut_line(struct buf *b, size_t start)
{
    size_t len = b->len - start, keep = LINE_MAX_BYTES;

    if (buf_failed(b) || len <= keep)
        return;
    while (keep > 0 && ((unsigned char)b->data[start + keep] & 0xC0) == 0x80)
        keep--;
    b->len = start + keep;
    b->data[b->len] = '\0';
}

void syslog_format_5424(struct buf *into, const struct run_record *run, const char *text, const char *results, int facility,
                        const char *tag, const char *host, int64_t now_ms, bool again)
{
    struct word words[WORDS_MAX];
    size_t n = collect_words(words, run, text, results, again), start = into->len;
    char stamp[TIME_TEXT_SIZE];

    time_format(now_ms, stamp);
    buf_addf(into, "<%d>1 %s %s %s %d run [belfry@32473", facility * 8 + severity(run, text), stamp,
             host[0] != '\0' ? host : "-", tag, (int)getpid());
    for (size_t i = 0; i < n; i++) {
        buf_addf(into, " %s=\"", words[i].name);
        add_escaped(into, words[i].value, "\"\\]");
        buf_addc(into, '"');
    }
    buf_addf(into, "] run %s of %s %s", words[0].value, words[1].value, verb(run, text));
    cut_line(into, start);
}

static bool plain(const char *value)
{
    return value[0] != '\0' && strpbrk(value, " \"=\\") == NULL;
}

static void add_pairs(struct buf *into, const struct word *words, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        buf_addf(into, "%s%s=", i > 0 ? " " : "", words[i].name);
        if (plain(words[i].value)) {
            buf_adds(into, words[i].value);
        } else {
            buf_addc(into, '"');
            add_escaped(into, words[i].value, "\"\\");
            buf_addc(into, '"');
        }
    }
}

void syslog_format_local(struct buf *into, const struct run_record *run, const char *text, const char *results, int facility,
                         const char *tag, int64_t now_ms, bool again)
{
    struct word words[WORDS_MAX];
    size_t n = collect_words(words, run, text, results, again), start = into->len;
    time_t now = (time_t)(now_ms / 1000);
    char stamp[32] = "";
    struct tm tm;

    if (localtime_r(&now, &tm) != NULL)
        (void)strftime(stamp, sizeof stamp, "%b %e %H:%M:%S", &tm);
    buf_addf(into, "<%d>%s %s[%d]: ", facility * 8 + severity(run, text), stamp, tag, (int)getpid());
    add_pairs(into, words, n);
    cut_line(into, start);
}

void syslog_format_journal(struct buf *into, const struct run_record *run, const char *text, const char *results,
                           const char *tag, bool again)
{
    struct word words[WORDS_MAX];
    size_t n = collect_words(words, run, text, results, again);

    /* Values hold no line break: they were made printable. So the simple form of the protocol serves for all. */
    buf_addf(into, "PRIORITY=%d\nSYSLOG_IDENTIFIER=%s\nMESSAGE=", severity(run, text), tag);
    add_pairs(into, words, n);
    buf_addc(into, '\n');
    for (size_t i = 0; i < n; i++)
        buf_addf(into, "%s=%s\n", words[i].journal, words[i].value);
}
