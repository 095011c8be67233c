/* The table of options, and what each makes of its value. */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "command.h"

static int64_t *number_of(struct args *args, const struct option *option)
{
    return (int64_t *)(void *)((char *)args + option->at);
}

static const char **text_of(struct args *args, const struct option *option)
{
    return (const char **)(void *)((char *)args + option->at);
}

static bool refuse(const struct option *option, const char *value, const char *rule)
{
    tell("--%s: '%s' is not %s", option->name, value, rule);
    return false;
}

bool whole_number(const char *text, int64_t *out, const char **end)
{
    int64_t n = 0;

    for (*end = text; **end >= '0' && **end <= '9'; ++*end) {
        if (n > (INT64_MAX - (**end - '0')) / 10)
            return false;
        n = 10 * n + (**end - '0');
    }
    *out = n;
    return *end != text;
}

static bool take_flag(struct args *args, const struct option *option, const char *value)
{
    (void)value;
    *number_of(args, option) = 1;
    return true;
}

static bool take_text(struct args *args, const struct option *option, const char *value)
{
    *text_of(args, option) = value;
    return true;
}

static bool take_number(struct args *args, const struct option *option, const char *value)
{
    char rule[96];
    const char *end;
    int64_t n;

    if (whole_number(value, &n, &end) && *end == '\0' && n >= option->low && n <= option->high) {
        *number_of(args, option) = n;
        return true;
    }
    snprintf(rule, sizeof rule, "a whole number from %lld to %lld", (long long)option->low,
             (long long)option->high);
    return refuse(option, value, rule);
}

/* The choices are what help shows: `table|csv`. */
static bool take_choice(struct args *args, const struct option *option, const char *value)
{
    size_t size = strlen(value);
    const char *at = option->value;
    char rule[96];

    for (int64_t choice = 1; *at != '\0'; choice++) {
        size_t n = strcspn(at, "|");

        if (n == size && memcmp(at, value, n) == 0) {
            *number_of(args, option) = choice;
            return true;
        }
        at += n + (at[n] == '|');
    }
    snprintf(rule, sizeof rule, "one of %s", option->value);
    return refuse(option, value, rule);
}

static bool take_three(struct args *args, const struct option *option, const char *value, bool or_one,
                       const char *rule)
{
    int64_t n[3];
    const char *at = value;
    int count = 0;

    for (bool more = true; more; at += more) {
        if (!whole_number(at, &n[count], &at) || n[count] < option->low || n[count] > option->high)
            return refuse(option, value, rule);
        count++;
        more = *at == ',' && count < 3;
    }
    if (*at != '\0' || !(count == 3 || (or_one && count == 1)))
        return refuse(option, value, rule);
    for (int i = 0; i < 3; i++)
        number_of(args, option)[i] = n[count == 3 ? i : 0];
    return true;
}

static bool take_bins(struct args *args, const struct option *option, const char *value)
{
    args->bins_given = true;
    return take_three(args, option, value, true, "one number from 2 to 10, or three as in 5,5,4");
}

/* Thresholds are what is made of digits and `.,/-` alone; also what begins like a number and is no file, so that a typo
 * in them is not taken for a missing file. */
static bool names_file(const char *text)
{
    static const char bytes[] = "0123456789.,/-";
    bool number = strchr("0123456789-", *text) != NULL;

    return text[strspn(text, bytes)] != '\0' && (!number || access(text, F_OK) == 0);
}

/* Money is read with its digits later, when the store is open. */
static bool take_cuts(struct args *args, const struct option *option, const char *value)
{
    static const char *const names[] = { "quantile", "ntile", "rfm-r" };
    lapse_error error = { .size = sizeof error };
    lapse_cuts cuts = { .size = sizeof cuts };

    for (int i = 0; i < 3; i++) {
        if (strcmp(value, names[i]) == 0) {
            args->cuts = i;
            return true;
        }
    }
    if (strncmp(value, "fixed:", 6) != 0 || value[6] == '\0')
        return refuse(option, value, "quantile, ntile, rfm-r, fixed:R/F/M or fixed:FILE");
    args->cuts = LAPSE_CUTS_FIXED;
    args->fixed = value + 6;
    args->fixed_is_file = names_file(args->fixed);
    if (args->fixed_is_file || lapse_cuts_parse(args->fixed, 0, &cuts, &error) == LAPSE_OK)
        return true;
    tell_cuts(args->fixed, &error);
    return false;
}

static bool take_weights(struct args *args, const struct option *option, const char *value)
{
    return take_three(args, option, value, false, "three whole numbers as in 100,10,1");
}

static bool take_window(struct args *args, const struct option *option, const char *value)
{
    static const char letters[] = "dmy";
    static const int32_t units[] = { LAPSE_UNIT_DAY, LAPSE_UNIT_MONTH, LAPSE_UNIT_YEAR };
    const char *end;
    const char *letter;
    int64_t n;

    if (!whole_number(value, &n, &end) || n < option->low || n > option->high || *end == '\0' || end[1] != '\0' ||
        (letter = strchr(letters, *end)) == NULL)
        return refuse(option, value, "a span of days, months or years such as 90d, 6m, 1y");
    args->window = n;
    args->window_unit = units[letter - letters];
    return true;
}

static bool take_delimiter(struct args *args, const struct option *option, const char *value)
{
    unsigned char c = (unsigned char)*value;

    if (strcmp(value, "tab") == 0 || strcmp(value, "\\t") == 0)
        c = '\t';
    else if (c == '\0' || value[1] != '\0' || c == '"' || c == '\r' || c == '\n' || c > 127)
        return refuse(option, value, "one ASCII character (no quote, no line end), or tab");
    *number_of(args, option) = c;
    return true;
}

static bool take_currency(struct args *args, const struct option *option, const char *value)
{
    if (currency_digits(value) < 0)
        return refuse(option, value, "a currency of ISO 4217 such as EUR");
    return take_text(args, option, value);
}

static bool take_kind(struct args *args, const struct option *option, const char *value)
{
    if (lapse_kind_find(value) == 0)
        return refuse(option, value, "a kind of event such as order.placed; lapse help events lists them");
    return take_text(args, option, value);
}

/* 0.5, 0.95: above 0, at most 1, with at most six decimals. */
static bool take_quantiles(struct args *args, const struct option *option, const char *value)
{
    static const char rule[] = "one or more numbers above 0 and up to 1, with at most six decimals, as in 0.4,0.5,0.8";
    const char *at = value;
    int count = 0;

    for (bool more = true; more; at += more) {
        int64_t whole_part, millionths = 0;
        int decimals = 0;

        if (count == QUANTILES_MOST || !whole_number(at, &whole_part, &at) || whole_part > 1)
            return refuse(option, value, rule);
        if (*at == '.' && at[1] >= '0' && at[1] <= '9') {
            for (at++; *at >= '0' && *at <= '9'; at++, decimals++)
                millionths = decimals < 6 ? 10 * millionths + (*at - '0') : -1;
        }
        for (; decimals < 6; decimals++)
            millionths *= 10;
        millionths = millionths < 0 ? 0 : millionths + 1000000 * whole_part;
        if (millionths < 1 || millionths > 1000000)
            return refuse(option, value, rule);
        args->quantiles[count++] = (int32_t)millionths;
        more = *at == ',';
    }
    if (*at != '\0')
        return refuse(option, value, rule);
    args->quantile_count = count;
    return true;
}

static bool take_name(struct args *args, const struct option *option, const char *value, int32_t (*find)(const char *),
                      const char *rule)
{
    *number_of(args, option) = find(value);
    return *number_of(args, option) != 0 || refuse(option, value, rule);
}

static bool take_channel(struct args *args, const struct option *option, const char *value)
{
    return take_name(args, option, value, lapse_channel_find,
                     "email, sms, push, web_push, in_app, onsite, postal, phone, social or ads");
}

static bool take_purpose(struct args *args, const struct option *option, const char *value)
{
    return take_name(args, option, value, lapse_purpose_find,
                     "transactional, service, marketing, profiling, tracking, ad_audience or survey");
}

static bool take_short(struct args *args, const struct option *option, const char *value)
{
    size_t size = strlen(value);

    if (size < 1 || size > 255)
        return refuse(option, value, "a text of 1 to 255 bytes");
    return take_text(args, option, value);
}

/* Only the form: what a time without offset means is known when the store is open. */
static bool take_time(struct args *args, const struct option *option, const char *value)
{
    lapse_error error = { .size = sizeof error };
    int64_t unused;

    if (lapse_time_parse(value, 0, NULL, NULL, &unused, &error) != LAPSE_OK) {
        tell("--%s: '%s': %.*s", option->name, value, (int)strcspn(error.rule, ";"), error.rule);
        return false;
    }
    return take_text(args, option, value);
}

static bool take_set(struct args *args, const struct option *option, const char *value)
{
    if (!strchr(value, '=') || *value == '=')
        return refuse(option, value, "name=value");
    args->set[args->sets++] = value;
    return true;
}

#define TO(field) offsetof(struct args, field)
const struct option option_table[] = {
    { "format", "table|csv", GROUP_OUTPUT, take_choice, TO(format), 0, 0,
      "How the answer is written. Default: table on a terminal, csv otherwise. It never changes a value; "
      "a table leaves out columns of a history that are empty." },
    { "output", "FILE", GROUP_OUTPUT, take_text, TO(output), 0, 0,
      "Write the answer to FILE, which appears when it is complete." },

    { "as-of", "T", GROUP_AS_OF, take_time, TO(as_of), 0, 0,
      "Look from this instant: nothing later than T is seen. A date is its first instant, so to close a day "
      "name the next. Default: the first instant of the day after the last event; history and export show "
      "all." },
    { "cuts", "RULE", GROUP_RFM, take_cuts, 0, 0, 0,
      "How values become scores. quantile (default): each axis is cut at its i/N quantiles, equal values share a score. "
      "ntile: bins of equal size as NTILE of SQL makes them, ties are split by id. rfm-r: as the R package rfm, "
      "quantiles plus one day, order or major unit. fixed:R/F/M: given thresholds, days/orders/money, as in "
      "fixed:30,90,180,365/2,3,5,8/10,50,100,500. fixed:FILE: those that --save-cuts wrote." },
    { "save-cuts", "FILE", GROUP_CUTS, take_text, TO(save_cuts), 0, 0,
      "Write the thresholds of this answer to FILE, so that --cuts fixed:FILE scores others by them: CSV "
      "axis,bin,above. Not with ntile, --nested, --every." },
    { "bins", "N", GROUP_RFM, take_bins, TO(bins), 2, 10,
      "Scores go from 1 to N, from 2 to 10, default 5; or R,F,M: one number for each axis. Bins other than 5 "
      "on R and F need --segments. Not with fixed cuts, which have one more than thresholds." },
    { "window", "N{d,m,y}", GROUP_RFM, take_window, TO(window), 1, INT32_MAX,
      "Only orders of the last N days, calendar months or years." },
    { "frequency", "orders|days", GROUP_RFM | GROUP_GAPS, take_choice, TO(frequency), 0, 0,
      "Count orders (default), or distinct days with one." },
    { "monetary", "sum|mean", GROUP_RFM, take_choice, TO(monetary), 0, 0,
      "The sum of net amounts (default), or the mean per order." },
    { "nested", NULL, GROUP_RFM, take_flag, TO(nested), 0, 0,
      "Cut frequency within each recency score, and monetary within each of both. Not with fixed cuts." },
    { "weights", "R,F,M", GROUP_RFM, take_weights, TO(weights), 0, INT64_MAX,
      "Add the column weighted: r*R + f*F + m*M." },
    { "segments", "FILE", GROUP_RFM, take_text, TO(segments), 0, 0,
      "Segments by another table: CSV segment,r_min,r_max,f_min,f_max,m_min,m_max. Bounds are inclusive, an "
      "empty one is open, the first row that matches wins, no match is (none)." },

    { "channels", NULL, GROUP_STATES, take_flag, TO(channels), 0, 0,
      "One row for each customer, channel and endpoint instead: can it be reached?" },
    { "purpose", "P", GROUP_PERMIT, take_purpose, TO(purpose), 0, 0,
      "What the contact is for, required: transactional, service, marketing, profiling, tracking, ad_audience, survey." },
    { "channel", "C", GROUP_PERMIT, take_channel, TO(channel), 0, 0,
      "Only this channel: email, sms, push, web_push, in_app, onsite, postal, phone, social, ads. Default: all; for "
      "profiling, tracking and ad_audience: ads." },
    { "customer", "X", GROUP_PERMIT, take_short, TO(customer), 0, 0, "Only this customer." },
    { "at", "T", GROUP_FORGET, take_time, TO(at), 0, 0,
      "The instant of the erasure, default now. Rows of these customers dated later begin new customers." },
    { "topic", "T", GROUP_PERMIT, take_short, TO(topic), 0, 0,
      "Ask the preference for this topic too. Default: topics are not asked." },
    { "baseline", NULL, GROUP_ADVANCE, take_flag, TO(baseline), 0, 0,
      "Take the states at --as-of as told, and tell nothing: for a host that begins with years of history." },
    { "adopt-policy", NULL, GROUP_ADVANCE, take_flag, TO(adopt_policy), 0, 0,
      "The policy may be another one than that of the last advance. What it changes is told with the cause policy." },
    { "limit", "N", GROUP_ADVANCE, take_number, TO(limit), 1, INT64_MAX,
      "So many records at most, the first that are not confirmed. After ack, the same call goes on with the next." },
    { "mode", "net|path", GROUP_ADVANCE, take_choice, TO(mode), 0, 0,
      "Tell the difference since the last call (net, the default). path is not in this release." },
    { "from", "T0", GROUP_SPAN, take_time, TO(from), 0, 0,
      "Where the span begins. All events of T0 are seen at its start." },
    { "to", "T1", GROUP_SPAN, take_time, TO(to), 0, 0,
      "Where the span ends; nothing later is seen. Changes count from after T0 up to T1." },
    { "every", "day|week|month|quarter|year", GROUP_PERIODS, take_choice, TO(every), 0, 0,
      "Periods. Of churn: the span is cut at T0 and so many units, the last period at T1; default one period. Of "
      "cohorts: periods of the calendar, default month. Of rfm and segments: as of the first instant of each period of "
      "the calendar after T0 up to T1." },
    { "basis", "purchase|activity", GROUP_CLOCK, take_choice, TO(basis), 0, 0,
      "What keeps a customer: valid orders (default, settings purchase.*), or any activity (engagement.*)." },
    { "lost", "lost|inactive", GROUP_CLOCK, take_choice, TO(lost), 0, 0,
      "Lost from the limit of that name on: purchase.lost or engagement.lost (default), or the .inactive ones." },
    { "hazard", NULL, GROUP_SURVIVAL, take_flag, TO(hazard), 0, 0,
      "Add the Nelson-Aalen estimate: hazard, hazard_lower, hazard_upper." },
    { "summary", NULL, GROUP_SURVIVAL, take_flag, TO(summary), 0, 0,
      "One row instead: subjects, lost, censored, median, horizon, restricted_mean, restricted_mean_error." },
    { "horizon", "DAYS", GROUP_SURVIVAL, take_number, TO(horizon), 0, 1000000,
      "Of --summary: days up to which the mean is taken, default the longest time." },
    { "quantiles", "P,...", GROUP_GAPS, take_quantiles, 0, 0, 0,
      "Numbers above 0 and up to 1, with at most six decimals, as in 0.4,0.5,0.8. Default "
      "0.1,0.25,0.4,0.5,0.6,0.75,0.8,0.9,0.95,0.99." },
    { "method", "nearest_rank|linear", GROUP_GAPS, take_choice, TO(method), 0, 0,
      "The quantile p of n gaps is the ceil(p n)-th in ascending order (default), or interpolated at (n - 1) p." },

    { "policy", "FILE", GROUP_POLICY, take_text, TO(policy), 0, 0,
      "Read settings from lines `name = value`; # begins a comment." },
    { "set", "NAME=VALUE", GROUP_POLICY, take_set, 0, 0, 0,
      "Change one setting; may be given more than once, and wins over --policy. `lapse policy` lists them." },
    { "threads", "N", GROUP_THREADS, take_number, TO(threads), 1, 64,
      "Work on so many threads, default 1. Values never depend on it." },

    { "replace", NULL, GROUP_BACKUP, take_flag, TO(replace), 0, 0,
      "FILE may exist; the whole copy takes its place. Nobody should be using it." },
    { "upgrade", NULL, GROUP_COMPACT, take_flag, TO(upgrade), 0, 0,
      "Write all of the store anew, in the latest format that this version knows. Older versions may not be able to "
      "read it afterwards." },

    { "salvage", NULL, GROUP_EXPORT, take_flag, TO(salvage), 0, 0,
      "Write the events that are sound in a damaged store, and name what is lost; then the exit code is 3. --digits where "
      "these are lost." },

    { "dry-run", NULL, GROUP_IMPORT, take_flag, TO(dry_run), 0, 0, "Do all but store." },
    { "sync", "full|normal|off", GROUP_IMPORT, take_choice, TO(sync), 0, 0,
      "What storing waits for: the disk (default), its order only, or nothing." },

    { "delimiter", "C", GROUP_READ, take_delimiter, TO(delimiter), 0, 0,
      "What stands between fields, default a comma; tab is a tab." },
    { "map", "COLUMN=NAME,...", GROUP_READ, take_text, TO(map), 0, 0,
      "Take a column from another name of the file, or from the product of two: "
      "customer=CustomerID,amount=Quantity*UnitPrice." },
    { "ignore-unknown", NULL, GROUP_READ, take_flag, TO(ignore_unknown), 0, 0,
      "Leave out columns that event files do not have, instead of refusing the file." },
    { "time-format", "FORMAT", GROUP_READ, take_text, TO(time_format), 0, 0,
      "How times are written, for example '%m/%d/%Y %H:%M'; from %Y %m %d %H %M %S %y %b %z." },
    { "kind", "KIND", GROUP_READ, take_kind, TO(kind), 0, 0,
      "Kind of rows without one, default order.placed." },
    { "negative", "reject|refund", GROUP_READ, take_choice, TO(negative), 0, 0,
      "An order line with a negative amount is a bad row (default), or a refund." },
    { "on-error", "stop|skip", GROUP_READ, take_choice, TO(on_error), 0, 0,
      "A bad row stops the import and nothing is stored (default), or is left out. A quote that is never "
      "closed stops it either way." },
    { "rejects", "FILE", GROUP_READ, take_text, TO(rejects), 0, 0,
      "Write rows that were left out, and conflicts, to FILE: line,column,text,rule,row." },
    { "received-at", "T", GROUP_READ, take_time, TO(received_at), 0, 0,
      "A time later than T by more than the setting import.skew is a bad row. Default: now." },
    { "source", "NAME", GROUP_READ, take_text, TO(source), 0, 0,
      "Where events without an event_id come from: of a source that is there already only what is new is "
      "added. Default: the file's name without its folder, stdin for -." },

    { "zone", "ZONE", GROUP_CREATE, take_text, TO(zone), 0, 0,
      "Where days begin, and what times without offset mean: +hh:mm, -hh:mm, or a name such as Europe/Paris. "
      "Default +00:00. Fixed when the store is made." },
    { "currency", "CODE", GROUP_CREATE, take_currency, TO(currency), 0, 0,
      "Currency by ISO 4217, which gives the digits. Fixed when the store is made." },
    { "key", "FILE", GROUP_CREATE, take_text, TO(key), 0, 0,
      "The key of hashes, 64 hexadecimal digits in FILE: two stores of one key take each other's hashed addresses. Drawn "
      "by chance unless given. Fixed when the store is made." },
    { "digits", "N", GROUP_CREATE, take_number, TO(digits), 0, 6,
      "Decimal digits of amounts, default 2 or those of the currency. Fixed when the store is made." },
    { NULL, NULL, 0, NULL, 0, 0, 0, NULL },
};
