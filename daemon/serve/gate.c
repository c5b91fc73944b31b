/* Who comes, and for which workspace. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "belfry/base/time.h"
#include "serve_internal.h"

static const char *lent_value(const struct http_exchange *x, const char *key_header, bool token)
{
    const char *header = http_header(x, "Authorization");

    if (key_header != NULL && http_header(x, key_header) != NULL)
        return http_header(x, key_header);
    if (token && http_query(x, "token") != NULL)
        return http_query(x, "token");
    if (token && key_header != NULL && http_query(x, "secret") != NULL)
        return http_query(x, "secret");
    if (header == NULL)
        return NULL;
    if (strncasecmp(header, "RC-WSKEY ", 9) == 0)
        header += 9;
    else if (strncasecmp(header, "Bearer ", 7) == 0)
        header += 7;
    else
        return NULL;
    return header + strspn(header, " ");
}

bool gate_value(const struct http_exchange *x, const char *key_header, bool token, char value[GATE_VALUE_SIZE])
{
    const char *lent = lent_value(x, key_header, token);
    size_t len = lent != NULL ? strlen(lent) : 0;

    while (len > 0 && (lent[len - 1] == ' ' || lent[len - 1] == '\t'))   /* no part of a header's value */
        len--;
    if (lent == NULL || len >= GATE_VALUE_SIZE)
        return false;
    memcpy(value, lent, len);
    value[len] = '\0';
    return true;
}

const struct workspace_config *gate_workspace(const struct serve_room *room, const char *word, size_t len)
{
    const struct config *c = room->host.config(room->host.data);

    for (size_t i = 0; i < c->workspace_count; i++) {
        const struct workspace_config *w = c->workspaces[i];

        if (w->type == WORKSPACE_LOCAL && ((strlen(w->id) == len && strncmp(w->id, word, len) == 0) ||
                                           (strlen(w->name) == len && strncmp(w->name, word, len) == 0)))
            return w;
    }
    return NULL;
}

void gate_ask_for_key(struct http_exchange *x, const char *code)
{
    json_t *error = json_pack("{s:{s:s, s:s}}", "error", "code", code, "message",
                              "a key is needed here, and this is none that is good: Authorization: RC-WSKEY …");
    char *body = json_text(error);

    json_decref(error);
    if (body == NULL)
        abort();
    http_respond(x, 401, "application/json", body, strlen(body), &(struct http_header_pair) { "WWW-Authenticate", "RC-WSKEY" }, 1);
    free(body);
}

bool gate_knows(const struct serve_room *room, const struct http_exchange *x, const char *value)
{
    return http_is_local(x) || (value != NULL && keyring_knows(room->host.keyring, value, time_wall_ms()));
}

bool gate_lets(struct serve_room *room, struct http_exchange *x, uint32_t permissions, struct route_args *args)
{
    const struct workspace_config *w = NULL;
    const struct api_key *key = NULL;
    char value[GATE_VALUE_SIZE];

    args->workspace = NULL;
    if (permissions == FOR_ALL || http_is_local(x))
        return true;
    key = gate_value(x, NULL, false, value) ? keyring_check(room->host.keyring, value, time_wall_ms()) : NULL;
    if (key == NULL) {
        gate_ask_for_key(x, "unauthorized");
        return false;
    }
    w = gate_workspace(room, key->workspace, strlen(key->workspace));
    if (w != NULL && (permissions == FOR_ANY_KEY || (permissions != FOR_OPERATOR && (key->permissions & permissions) == permissions))) {
        args->workspace = w->name;
        args->who = key->name;
        return true;
    }
    http_respond_error(x, 403, "forbidden", "%s", permissions == FOR_OPERATOR ? "that is for the operator: ask over the socket" :
                       "this key may not do that");
    return false;
}

bool gate_hides(const char *limit, const char *workspace)
{
    return limit != NULL && limit[0] != '\0' && strcmp(limit, workspace) != 0;
}
