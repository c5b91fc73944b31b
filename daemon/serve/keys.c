/* Keys, for the operator: who comes over the socket. A key's value is shown when it is made, and when it is asked for by id. */
#include <stdlib.h>
#include <string.h>

#include "belfry/base/time.h"
#include "serve_internal.h"

#define NAME_MAX_LEN 200

static json_t *describe(struct serve_room *room, const struct api_key *key)
{
    const struct workspace_config *w = gate_workspace(room, key->workspace, strlen(key->workspace));
    json_t *o = json_object();

    (void)json_put(o, "id", key->id);
    (void)json_put(o, "name", key->name);
    (void)json_put(o, "workspace", w != NULL ? w->name : key->workspace);
    (void)json_object_set_new(o, "permissions", permissions_json(key->permissions));
    (void)json_put_time(o, "created_at", key->created_ms);
    (void)json_put_time(o, "expires_at", key->expires_ms);
    (void)json_object_set_new(o, "last_used_at", json_null());
    if (key->last_used_ms != 0)
        (void)json_put_time(o, "last_used_at", key->last_used_ms);
    (void)json_put_int(o, "uses", (int64_t)key->uses);
    return o;
}

/* --- listing, showing --------------------------------------------------------------------------------------------- */

struct listing {
    struct serve_room *room;
    const struct workspace_config *workspace;   /* NULL: all */
    json_t *list;
};

static void list_key(void *data, const struct api_key *key)
{
    struct listing *l = data;

    if (l->workspace == NULL || strcmp(key->workspace, l->workspace->id) == 0)
        (void)json_array_append_new(l->list, describe(l->room, key));
}

static void refuse_workspace(struct http_exchange *x, const char *word)
{
    http_respond_error(x, 404, "not_found", "there is no local workspace %s", word);
}

static void list(struct serve_room *room, struct http_exchange *x, const struct workspace_config *w)
{
    struct listing l = { room, w, json_array() };

    keyring_each(room->host.keyring, list_key, &l);
    serve_json(x, 200, json_pack("{s:o}", "data", l.list));
}

void serve_keys(struct serve_room *room, struct http_exchange *x, const struct route_args *args)
{
    (void)args;
    list(room, x, NULL);
}

void serve_workspace_keys(struct serve_room *room, struct http_exchange *x, const struct route_args *args)
{
    const struct workspace_config *w = gate_workspace(room, args->at[0], strlen(args->at[0]));

    if (w != NULL)
        list(room, x, w);
    else
        refuse_workspace(x, args->at[0]);
}

/* The key of /keys/ID or /workspaces/W/keys/ID; NULL after it was refused. */
static const struct api_key *named_key(struct serve_room *room, struct http_exchange *x, const struct route_args *args)
{
    bool below = args->at[1][0] != '\0';
    const struct workspace_config *w = below ? gate_workspace(room, args->at[0], strlen(args->at[0])) : NULL;
    const struct api_key *key = keyring_find(room->host.keyring, args->at[below ? 1 : 0]);

    if (key != NULL && (!below || (w != NULL && strcmp(w->id, key->workspace) == 0)))
        return key;
    http_respond_error(x, 404, "not_found", "there is no key %s", args->at[below ? 1 : 0]);
    return NULL;
}

void serve_key(struct serve_room *room, struct http_exchange *x, const struct route_args *args)
{
    const struct api_key *key = named_key(room, x, args);
    struct secret value = { 0 };
    json_t *o;
    int status;

    if (key == NULL)
        return;
    o = describe(room, key);
    status = keyring_view(room->host.keyring, key->id, &value);
    (void)json_object_set_new(o, "key", status == 0 ? json_string(value.bytes) : json_null());
    if (status == BF_EACCES)
        (void)json_put(o, "note", "its value was sealed under another master key, and cannot be shown");
    secret_close(&value);
    serve_json(x, 200, o);
}

/* --- changing ----------------------------------------------------------------------------------------------------- */

struct change_ask {
    struct serve_room *room;
    struct http_exchange *x;
    struct key_change change;
};

static void gone(struct http_exchange *x)
{
    (void)x;   /* the change is made all the same, and the answer goes nowhere */
}

static void answer(struct change_ask *a, int status)
{
    const struct api_key *key = keyring_find(a->room->host.keyring, a->change.id);
    json_t *o;

    if (status == BF_ENOENT || (status == 0 && key == NULL && a->change.kind != KEY_REMOVE)) {
        http_respond_error(a->x, 404, "not_found", "there is no key %s", a->change.id);
    } else if (status != 0) {
        http_respond_error(a->x, 503, "unavailable", "nothing was changed: %s", error_name(status));
    } else if (a->change.kind == KEY_REMOVE) {
        serve_json(a->x, 200, json_pack("{s:s, s:b}", "id", a->change.id, "deleted", 1));
    } else {
        o = describe(a->room, key);
        if (a->change.kind == KEY_ADD)
            (void)json_object_set_new(o, "key", json_string(a->change.value.bytes));
        serve_json(a->x, 200, o);
    }
}

static void change_made(struct key_change *change, int status)
{
    struct change_ask *a = change->data;
    struct serve_room *room = a->room;
    const struct api_key *key = status == 0 && change->kind == KEY_ADD ? keyring_find(room->host.keyring, change->id) : NULL;
    const struct workspace_config *w = key != NULL ? gate_workspace(room, key->workspace, strlen(key->workspace)) : NULL;

    if (w != NULL && !w->viewable_keys)   /* it may have become so meanwhile */
        keyring_hide(room->host.keyring, w->id);
    answer(a, status);
    secret_close(&change->value);
    free(a);
    serve_let_go(room);
}

static void make_change(struct serve_room *room, struct http_exchange *x, const struct key_change *change)
{
    struct change_ask *a = calloc(1, sizeof *a);

    if (a == NULL) {
        http_respond_error(x, 500, "out_of_memory", "out of memory");
        return;
    }
    *a = (struct change_ask) { room, x, *change };
    a->change.cb = change_made;
    a->change.data = a;
    a->change.now_ms = time_wall_ms();
    http_set_data(x, a, gone);
    room->open++;
    keyring_change(room->host.keyring, &a->change);
}

static bool refuse(struct http_exchange *x, const char *what)
{
    http_respond_error(x, 400, "bad_request", "%s", what);
    return false;
}

static bool read_permissions(struct http_exchange *x, const json_t *value, struct key_change *change)
{
    struct buf words = { 0 };
    struct error err;
    const json_t *one;
    bool good = true;
    size_t i;

    if (json_is_string(value)) {
        buf_adds(&words, json_string_value(value));
    } else if (json_is_array(value)) {
        json_array_foreach(value, i, one) {
            good &= json_is_string(one);
            buf_addf(&words, "%s ", good ? json_string_value(one) : "");
        }
    } else {
        good = false;
    }
    if (!good)
        (void)refuse(x, "permissions has to be a list of names");
    else if (permissions_parse(buf_str(&words), &change->permissions, &err) != 0)
        good = refuse(x, err.text);
    change->set_permissions = true;
    buf_close(&words);
    return good;
}

/* What the body says; false when it was refused. `body` is lent to the change. */
static bool read_change(struct http_exchange *x, const json_t *body, struct key_change *change)
{
    const json_t *name = json_object_get(body, "name"), *permissions = json_object_get(body, "permissions");
    const json_t *expires = json_object_get(body, "expires_at");
    const char *member;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)body, member, value) {
        if (strcmp(member, "name") != 0 && strcmp(member, "permissions") != 0 && strcmp(member, "expires_at") != 0)
            return refuse(x, "a key has name, permissions and expires_at");
    }
    if (name != NULL && (!json_is_string(name) || json_string_length(name) == 0 || json_string_length(name) > NAME_MAX_LEN))
        return refuse(x, "name has to be a text of 1 to 200 bytes");
    change->name = json_string_value(name);
    if (permissions != NULL && !read_permissions(x, permissions, change))
        return false;
    change->set_expires = expires != NULL;
    if (expires == NULL || json_is_null(expires))
        return true;
    if (!json_is_string(expires) || time_parse(json_string_value(expires), &change->expires_ms) != 0)
        return refuse(x, "expires_at has to be a time as in 2026-01-05T02:30:00Z, or null");
    if (change->expires_ms <= time_wall_ms())
        return refuse(x, "expires_at is over already");
    return true;
}

void serve_key_add(struct serve_room *room, struct http_exchange *x, const struct route_args *args)
{
    const struct workspace_config *w = gate_workspace(room, args->at[0], strlen(args->at[0]));
    struct key_change change = { .kind = KEY_ADD };
    json_t *body;

    if (w == NULL) {
        refuse_workspace(x, args->at[0]);
        return;
    }
    body = serve_body(x);
    if (body == NULL)
        return;
    change.workspace = w->id;
    change.viewable = w->viewable_keys;
    if (read_change(x, body, &change)) {
        if (change.name == NULL || !change.set_permissions)
            (void)refuse(x, "a key needs a name and permissions");
        else
            make_change(room, x, &change);
    }
    json_decref(body);
}

void serve_key_edit(struct serve_room *room, struct http_exchange *x, const struct route_args *args)
{
    const struct api_key *key = named_key(room, x, args);
    struct key_change change = { .kind = KEY_EDIT };
    json_t *body = key != NULL ? serve_body(x) : NULL;

    if (body == NULL)
        return;
    memcpy(change.id, key->id, sizeof change.id);
    if (read_change(x, body, &change))
        make_change(room, x, &change);
    json_decref(body);
}

void serve_key_remove(struct serve_room *room, struct http_exchange *x, const struct route_args *args)
{
    const struct api_key *key = named_key(room, x, args);
    struct key_change change = { .kind = KEY_REMOVE };

    if (key == NULL)
        return;
    memcpy(change.id, key->id, sizeof change.id);
    make_change(room, x, &change);
}
