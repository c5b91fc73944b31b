/* Files travel with the run's first work item: a form is asked for, then the file is streamed into it from the disk. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "robocorp_start.h"

static void uploaded(struct http_request *request, int status)
{
    struct starting *s = request->data;
    struct robocorp *b = s->b;
    struct error why;

    transfer_over(b, &s->upload);
    if (status == 0 && request->http_status >= 200 && request->http_status < 300) {
        s->next_file++;
        upload_files(s);
    } else {
        if (status == 0)
            error_set(&why, BF_ENET, "the upload of %s was answered %ld", s->upload_path, request->http_status);
        else
            why = request->error;
        start_not_done(s, &why, true, request->retry_after_ms > 0 ? request->retry_after_ms : 0);
    }
    robocorp_done(b);
}

/* {"upload": {"url", "form_data"}}, or flat, as older servers have it. */
static bool read_form(struct starting *s, const char **url)
{
    const json_t *upload = json_object_get(s->upload_answer, "upload");
    json_t *fields, *value;
    const char *name;
    size_t n = 0;

    if (!json_is_object(upload))
        upload = s->upload_answer;
    *url = ask_string(&s->ask, upload, "url");
    if (*url == NULL)
        return false;
    fields = json_object_get(upload, "form_data");
    if (fields == NULL)
        fields = json_object_get(upload, "fields");
    if (!robocorp_may_transfer(s->ask.access, *url)) {
        error_set(&s->ask.error, BF_EPROTO, "the link for the upload is neither https nor the Control Room's own: it is not used");
        return false;
    }
    free(s->form);
    s->form = calloc(json_object_size(fields) + 1, sizeof *s->form);
    if (s->form == NULL)
        abort();
    json_object_foreach(fields, name, value) {
        if (!json_is_string(value)) {
            error_set(&s->ask.error, BF_EPROTO, "a field of the upload's form is no text");
            return false;
        }
        s->form[n++] = (struct http_form_field) { name, json_string_value(value) };
    }
    s->form_count = n;
    return true;
}

static void file_made(struct ask *ask)
{
    struct starting *s = ask->data;
    const json_t *file = json_array_get(s->files, s->next_file);
    const char *url;

    if (ask->outcome != ASKED_GOOD) {
        start_give_up(s, ask);
        return;
    }
    json_decref(s->upload_answer);
    s->upload_answer = json_incref(ask->answer);
    if (!read_form(s, &url)) {
        start_not_done(s, &ask->error, true, 0);
        return;
    }
    free(s->upload_path);
    s->upload_path = strdup(json_str(file, "path"));
    s->upload.request = (struct http_request) { .method = "POST", .url = url, .form = s->form, .form_count = s->form_count,
        .upload_path = s->upload_path, .upload_name = json_str(file, "name"), .timeout_ms = -1, .once = true,
        .ca_file = s->ask.access->ca_file, .proxy = s->ask.access->proxy, .cb = uploaded, .data = s };
    robocorp_begin(s->b);
    transfer_send(s->b, &s->upload);
}

static bool is_there(const struct starting *s, const char *name, int64_t size)
{
    const json_t *one;
    size_t i;

    json_array_foreach(s->there, i, one) {
        const char *is = dialect_text(one, "name|fileName");
        const json_t *bytes = dialect_member(one, "size|fileSize");

        if (is != NULL && strcmp(is, name) == 0 && json_is_number(bytes) && json_number_value(bytes) == (double)size)
            return true;
    }
    return false;
}

void upload_files(struct starting *s)
{
    const struct dialect *d = s->b->dialect;
    const json_t *file;
    struct error why;
    struct stat st;

    for (; (file = json_array_get(s->files, s->next_file)) != NULL; s->next_file++) {
        if (stat(json_str(file, "path"), &st) != 0) {
            error_errno(&why, errno, "the file %s cannot travel with the run", json_str(file, "path"));
            start_not_done(s, &why, false, 0);
            return;
        }
        if (!is_there(s, json_str(file, "name"), st.st_size))
            break;
    }
    if (file == NULL) {
        s->memo.start = true;
        start_write_memo(s);
        return;
    }
    ask_close(&s->ask);
    ask_route(s->b, &s->ask, "POST", d->item_file,
              &(struct path_words) { .process = s->memo.process, .item = json_string_value(json_array_get(s->memo.items, 0)) },
              dialect_file_body(d, json_str(file, "name"), st.st_size), 1, true, file_made, s);
}
