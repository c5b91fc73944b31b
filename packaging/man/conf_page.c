/* Prints belfry.conf(5) from the table that reads the configuration: what is documented is what is taken. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "belfry/config/schema.h"

static const char head[] =
    ".Dd $Mdocdate$\n.Dt BELFRY.CONF 5\n.Os\n.Sh NAME\n.Nm belfry.conf\n.Nd configuration of belfryd\n.Sh DESCRIPTION\n"
    "The file\n.Pa belfry.conf ,\nand after it the\n.Pa *.conf\nfiles of\n.Pa conf.d\nbeside it in name order, say what\n.Xr belfryd 8\n"
    "does.\nThere is one section a thing,\n.Dq [kind name] ,\nwith lines\n.Dq key = value .\n"
    "A name has letters, digits, dots, underscores and dashes, at most 64.\n"
    "A comment is a line that begins with\n.Sq #\nor\n.Sq \\&; ,\nnever the end of a line.\n"
    "A value goes on over indented lines, which keep their line breaks, and may be 64 kilobytes long.\n.Pp\n"
    "Durations are written\n.Li 500ms 90s 5m 2h 1d ,\nor several together; sizes\n.Li 64k 10M 1G ;\nbooleans\n.Li yes no .\n"
    "Lists are separated by white space.\n.Li ${VAR}\ntakes an environment variable,\n.Li $$\nis a dollar sign.\n"
    "Relative paths begin at the folder that holds the file.\n.Pp\n"
    "An unknown kind or key, a key that comes twice, a bad value, a reference to what is not there: all of them are said at once,\n"
    "with file and line, and nothing is started or changed.\n.Pp\n"
    "A secret is never a bare value.\nA key described as a secret below stands for three:\n"
    ".Bl -tag -width Ds\n.It Ar key Ns Li _file No = Ar PATH\na file: its first line, in\n.Li [secret]\nthe whole of it; refused when the group or others may write the file,\n"
    "warned about when they may read it\n.It Ar key Ns Li _env No = Ar NAME\nan environment variable of the daemon\n"
    ".It Ar key Ns Li _credential No = Ar NAME\na credential of\n.Xr systemd.exec 5\n.Pq LoadCredential\n.El\n";

static const char tail[] =
    ".Sh EVENTS\nEvery firing is one JSON object, and a run's record keeps it:\n.Bd -literal -offset indent\n"
    "{\"id\", \"trigger\": {\"kind\", \"name\"}, \"time\", \"due\"?,\n \"file\"?, \"files\"?, \"request\"?, \"by\"?}\n.Ed\n.Pp\n"
    "Times are RFC 3339 in UTC with milliseconds.\nA file is\n"
    ".Li {\\(dqpath\\(dq, \\(dqname\\(dq, \\(dqdir\\(dq, \\(dqsize\\(dq, \\(dqmtime\\(dq, \\(dqsha256\\(dq?} ,\na request\n"
    ".Li {\\(dqmethod\\(dq, \\(dqpath\\(dq, \\(dqquery\\(dq, \\(dqheaders\\(dq, \\(dqbody\\(dq, \\(dqremote\\(dq} ,\n"
    "its body parsed when it is JSON or a form.\nThe programs\n.Li input , when\nand\n.Li key\nare\n.Xr jq 1\n"
    "programs over that object, run in a confined process of their own.\n"
    ".Sh FILES\n.Bl -tag -width Ds\n.It Pa " BELFRY_SYSCONFDIR "/belfry/belfry.conf\n.It Pa " BELFRY_SYSCONFDIR "/belfry/conf.d/*.conf\n.El\n"
    ".Sh EXAMPLES\nA nightly run on a Control Room, and a drop folder on this machine:\n.Bd -literal -offset indent\n"
    "[workspace production]\ntype = robocorp\nid = 1f3c9a52-5a1e-4a8e-9a57-3f9c1f0d8a11\napi_key_file = /etc/belfry/production.key\n\n"
    "[process invoices]\nworkspace = production\nprocess_name = Invoice reader\n\n"
    "[schedule nightly]\nprocess = invoices\ncron = 30 2 * * *\ntimezone = Europe/Berlin\n\n"
    "[workspace here]\ntype = local\n\n[process import]\nworkspace = here\ncommand = /usr/local/bin/import\n\n"
    "[watch inbox]\nprocess = import\npath = /srv/inbox\nsuccess = move /srv/done\n.Ed\n"
    ".Sh SEE ALSO\n.Xr belfry 1 ,\n.Xr jq 1 ,\n.Xr belfryd 8\n";

/* A text in mdoc: what would be a macro or an escape is neither. */
static void text(const char *words)
{
    bool at_start = true;

    for (const char *c = words; *c != '\0'; c++) {
        if (at_start && (*c == '.' || *c == '\''))
            (void)fputs("\\&", stdout);
        if (*c == '\\')
            (void)fputs("\\e", stdout);
        else
            (void)putchar(*c);
        at_start = *c == '\n';
        /* A sentence begins on a line of its own. */
        if (*c == '.' && c[1] == ' ' && c[2] >= 'A' && c[2] <= 'Z') {
            (void)putchar('\n');
            at_start = true;
            c++;
        }
    }
}

/* The words of a choice; "-" stands for a number that has none. */
static void choices(const char *words)
{
    bool first = true;

    for (const char *at = words; *at != '\0';) {
        size_t len = strcspn(at, " ");

        if (len > 0 && !(len == 1 && *at == '-')) {
            (void)printf("%s%.*s", first ? "" : " | ", (int)len, at);
            first = false;
        }
        at += len + (at[len] == ' ');
    }
}

static void kind_of_value(const struct key_row *key)
{
    static const char *const names[] = { [KEY_STRING] = "text", [KEY_PATH] = "path", [KEY_BOOL] = "yes | no", [KEY_INT] = "number",
        [KEY_DURATION] = "duration", [KEY_SIZE] = "size", [KEY_WORDS] = "words", [KEY_LIST_OF_PATHS] = "paths",
        [KEY_PROGRAM] = "jq program", [KEY_SECRET] = "secret", [KEY_CUSTOM] = "" };

    if (key->type == KEY_CHOICE && key->detail != NULL)
        choices(key->detail);
    else if (key->type == KEY_REF)
        (void)printf("%s", key->detail);
    else if (names[key->type] != NULL)
        (void)fputs(names[key->type], stdout);
}

static void print_key(const struct key_row *key)
{
    (void)printf(".It Li %s", key->name);
    if (key->type != KEY_CUSTOM) {
        (void)printf(" No = Ar ");
        kind_of_value(key);
    }
    if (key->otherwise != NULL && key->otherwise[0] != '\0') {
        (void)printf(" Pq default: ");
        text(key->otherwise);
    }
    (void)putchar('\n');
    text(key->about);
    (void)putchar('\n');
}

int main(void)
{
    (void)fputs(head, stdout);
    for (const struct section_row *s = config_sections; s->kind != NULL; s++) {
        (void)printf(".Sh [%s%s]\n", s->kind, s->named ? " NAME" : "");
        text(s->about);
        (void)printf("\n.Bl -tag -width Ds\n");
        for (const struct key_row *key = s->keys; key->name != NULL; key++)
            print_key(key);
        (void)printf(".El\n");
    }
    (void)fputs(tail, stdout);
    return ferror(stdout) != 0;
}
