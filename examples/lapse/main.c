/* The `lapse` command: its table of commands, and main(). */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "command.h"

static int refuse_command(const char *name)
{
    const struct command *meant = command_nearly(name);

    tell("no command '%s'; lapse help lists them", name);
    if (meant)
        tell("try %s", meant->name);
    return EXIT_USAGE;
}

static int run_help(struct work *work)
{
    const char *name = work->args->operands > 0 ? work->args->operand[0] : NULL;
    const struct command *command = name ? command_find(name) : NULL;

    if (name && strcmp(name, "events") == 0) {
        help_events();
        return EXIT_DONE;
    }
    if (name && !command)
        return refuse_command(name);
    if (command)
        help_command(command);
    else
        help_all();
    return EXIT_DONE;
}

const struct command command_table[] = {
    { "create", "STORE", run_create, GROUP_CREATE, "make an empty store",
      "Makes an empty store in the file STORE, which must not exist. It can be read by its owner alone." },
    { "import", "STORE FILE...", run_import,
      GROUP_OUTPUT | GROUP_CREATE | GROUP_READ | GROUP_IMPORT | GROUP_POLICY | GROUP_THREADS,
      "add event files to a store, which is made if need be",
      "Adds CSV files of events to STORE, each as one transaction; - is standard input. Stops at the first "
      "file that fails, of which nothing is stored.\n\n"
      "Columns: " COLUMNS ". Only customer and time must be there; `lapse help events` tells more.\n\n"
      "Prints for each file how many rows were read, accepted, duplicate (already there), conflict (another "
      "event under an id that is taken), erased (of forgotten customers), rejected.\n\n"
      "The same file again adds nothing. Another file that overlaps with one that is there adds only what is "
      "new if it is given the same source, --source NAME; the source of a file is its name without folder "
      "unless said otherwise. Under two sources, equal rows are two events. Rows with an event_id are known by "
      "it." },
    { "info", "STORE", run_info, GROUPS_STORE, "what is in a store",
      "Prints customers, events, first and last time, events of each kind, bytes, format, zone and digits." },
    { "history", "STORE CUSTOMER", run_history, GROUPS_STORE | GROUP_AS_OF, "the events of one customer",
      "Prints the events of one customer in the order of time. A customer whose name begins with - is named "
      "after --: lapse history STORE -- -7" },
    { "rfm", "STORE", run_rfm, GROUPS_STORE | GROUP_AS_OF | GROUP_RFM | GROUP_CUTS | GROUP_SPAN | GROUP_PERIODS,
      "recency, frequency, monetary value, scores and segment of each customer",
      "Prints one row for each customer with a valid order: last order, days since, number of orders, money, "
      "scores r, f, m (the highest is best), and the segment that r and f give. A valid order has a net "
      "amount above 0 after cancellations and refunds, or no amount. Customers who objected to profiling are "
      "left out.\n\n"
      "With --every month --from T0 --to T1: the same as of the first instant of each calendar month after T0 "
      "up to T1, with a first column as_of." },
    { "segments", "STORE", run_segments, GROUPS_STORE | GROUP_AS_OF | GROUP_RFM | GROUP_CUTS | GROUP_SPAN | GROUP_PERIODS,
      "customers and money by segment",
      "Prints one row for each segment of rfm: customers, orders, money, shares and means; with --every, --from "
      "and --to for each of several instants, as rfm does." },
    { "transitions", "STORE", run_transitions, GROUPS_STORE | GROUP_RFM | GROUP_SPAN,
      "who moved from which segment to which",
      "Prints for each pair of segments how many customers were in the first as of --from and are in the second as "
      "of --to. Cuts are made at each instant of the customers it has, unless they are fixed. A customer without "
      "a row in rfm at one of the two stands under (absent) there." },
    { "states", "STORE", run_states, GROUPS_STORE | GROUP_AS_OF | GROUP_STATES,
      "how far each customer has come, and whether they are active",
      "Prints one row for each customer: stage (reach, acquisition, conversion, retention, loyalty) and the "
      "highest so far, engagement (new, active, at_risk, inactive, lost) and since when, when that or the "
      "purchase clock changes if nothing else happens, the purchase clock, last purchase, activity and "
      "contact, account and rights.\n\n"
      "Inactive is not unsubscribed, and unsubscribed is not churned: `lapse consent` and `lapse permit` tell "
      "about the second." },
    { "consent", "STORE", run_consent, GROUPS_STORE | GROUP_AS_OF, "who agreed to what, and who left",
      "Prints one row for each customer, channel, purpose and topic of which there is something to tell: "
      "state (declined, granted, withdrawn; implied or expired where the policy allows it; none with a "
      "pending request), pending, strength (unknown: imported, single: granted, double: confirmed), since "
      "when, and reason and source of the event that began it." },
    { "permit", "STORE", run_permit, GROUPS_STORE | GROUP_AS_OF | GROUP_PERMIT,
      "may a customer be contacted, by which channel, and if not, why",
      "Prints one row for each customer and channel: allow or deny, the first reason and all reasons. A "
      "customer of --customer that nothing is known of has rows too. Nothing but endpoints, blocks and "
      "erasure stops the purposes transactional and service. It is no legal advice." },
    { "advance", "STORE", run_advance, GROUP_OUTPUT | GROUP_POLICY | GROUP_AS_OF | GROUP_ADVANCE,
      "what has changed since the last time, each change once",
      "Compares the states of customers at --as-of, which is required, with what was told before, keeps a record of each "
      "difference in STORE, and prints all records that are not confirmed yet: seq, customer, region, key, from, to, "
      "effective_time (since when it is so), cause (the kind of the event, timer, or policy), corrected (1: what was told "
      "before has turned out wrong). Call it with the present instant, act on each record, then confirm the last one with "
      "`lapse ack`. A record that was not confirmed comes again with the same seq; one that was, never. Only customers with "
      "new events or a deadline that has passed are looked at. The next deadline is told on standard error." },
    { "ack", "STORE SEQ", run_ack, GROUP_OUTPUT, "confirm the records of advance up to SEQ",
      "Confirms all records up to SEQ, which are then not told again. To confirm twice changes nothing. Prints the seq up "
      "to which all are confirmed now, which is greater than SEQ when more was confirmed before." },
    { "churn", "STORE", run_churn, GROUPS_STORE | GROUP_SPAN | GROUP_CLOCK | GROUP_PERIODS,
      "how many customers were lost, came back and came new, by period",
      "Prints for the span from --from to --to, or for each period of it: churn (here at the start and not at the "
      "end, of those at the start), retention, flow_churn, reactivation_rate, net_loss, average_base_churn, and the "
      "counts at_start, at_end, lost_end_state, lost_flow, reactivated, new, each with numerator and denominator. A "
      "rate whose denominator is 0 has no value. at_end = at_start - lost_flow + reactivated + new, always." },
    { "cohorts", "STORE", run_cohorts, GROUPS_STORE | GROUP_AS_OF | GROUP_PERIODS,
      "customers by their first order, and who ordered in later periods",
      "Prints one row for each cohort, the customers whose first valid order is of one period, and each period from "
      "that one on: size, active (members with a valid order in the period), retained (their share), and "
      "retained_unbounded, the share with one in that period or later." },
    { "survival", "STORE", run_survival, GROUPS_STORE | GROUP_AS_OF | GROUP_CLOCK | GROUP_SURVIVAL,
      "how long customers stay: Kaplan-Meier and Nelson-Aalen",
      "Prints one row for each number of days after which somebody is lost or not seen further: time, at_risk, lost, "
      "censored, survival and its 95 % interval on the log(-log) scale. A customer enters with the first valid order "
      "(or activity) and is lost at the first deadline that passes; who comes back later stays lost here." },
    { "gaps", "STORE", run_gaps, GROUPS_STORE | GROUP_AS_OF | GROUP_GAPS,
      "days between the orders of a customer, and their quantiles",
      "Prints quantiles of the days between consecutive valid orders of a customer, over all customers: a limit after "
      "which few come back by themselves fits the shop. One row for each quantile: method, quantile, gaps, days." },
    { "forget", "STORE [CUSTOMER...]", run_forget, GROUP_OUTPUT | GROUP_FORGET, "erase customers, for good",
      "Removes everything that STORE holds of these customers, all of them or none: events, their identities, and what "
      "deleted rows and logs may hold of them. What stays is a keyed hash of each id with the instant, so that files "
      "imported again do not bring them back. Copies made before are not reached. Prints how many customers and events "
      "went. A customer whose name begins with - is named after --.\n\n"
      "Without a customer it forgets nobody, and clears what an earlier erasure was kept from clearing." },
    { "export", "STORE", run_export, GROUPS_STORE | GROUP_AS_OF | GROUP_EXPORT, "all events, as a file that can be imported",
      "Prints all events as an event file, retracted ones too, with those columns that are not empty. Imported into a "
      "new store of the same digits, under any name, it makes an equal one." },
    { "backup", "STORE FILE", run_backup, GROUPS_STORE | GROUP_BACKUP, "a copy of a store that is in use",
      "Copies what STORE holds at one moment into the new store FILE, while others go on reading and writing. FILE "
      "appears when it is whole and on the disk, and can be read by its owner alone. Prints its bytes." },
    { "compact", "STORE", run_compact, GROUP_OUTPUT | GROUP_COMPACT | GROUP_THREADS, "a smaller file, and faster answers",
      "Merges what was stored bit by bit, and gives the space that is free then back. Answers do not change. Others can "
      "read meanwhile; who writes has to wait. Needs, for a time, free space of about three times the store, once "
      "that in the folder for temporary files. Interrupted, the store is whole, and the next time goes on from there. "
      "Prints the bytes of the file before and after." },
    { "verify", "STORE", run_verify, GROUPS_STORE, "check every checksum and count of a store",
      "Reads all of STORE and checks it: every page, checksum, count and order. Never writes. Prints blocks, events, "
      "customers, and ok: 1 or 0; what is damaged is named on standard error, all of it, and the exit code is 3." },
    { "policy", "[STORE]", run_policy, GROUP_OUTPUT | GROUP_POLICY,
      "every setting, its value and where it is from",
      "Prints every threshold and rule: name, value, default, unit and origin." },
    { "help", "[COMMAND]", run_help, 0, "this text, or more about one command",
      "Prints all commands, or what one command does and takes, or what event files hold: lapse help events" },
    { NULL, NULL, NULL, 0, NULL, NULL },
};

static int run(const struct command *command, int argc, char **argv)
{
    struct args args;
    struct work work;
    int code = EXIT_USAGE;

    if (args_parse(&args, command, argc, argv)) {
        code = work_begin(&work, &args);
        if (code == EXIT_DONE)
            code = command->run(&work);
        code = work_end(&work, code);
    }
    args_free(&args);
    if (code == EXIT_USAGE)
        tell("lapse help %s tells what can be said", command->name);
    return code;
}

static int understand(int argc, char **argv)
{
    const struct command *command;

    if (argc < 2) {
        tell("no command; lapse help lists them");
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--version") == 0 && argc == 2) {
        printf("lapse %s\n", lapse_version_string());
        return EXIT_DONE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        argv[1] = (char *)"help";
    command = command_find(argv[1]);
    if (!command && argc > 2 && command_find(argv[2])) {
        tell("no command '%s'; the command comes first: lapse %s %s", argv[1], argv[2], argv[1]);
        return EXIT_USAGE;
    }
    if (!command)
        return refuse_command(argv[1]);
    for (int i = 2; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            help_command(command);
            return EXIT_DONE;
        }
    }
    return run(command, argc - 2, argv + 2);
}

int main(int argc, char **argv)
{
    int code;

    interrupts_watch();
    code = understand(argc, argv);
    /* Help and version; answers look after themselves. */
    if ((ferror(stdout) || fflush(stdout) != 0) && errno != EPIPE) {
        tell("standard output: cannot be written: %s", strerror(errno));
        return EXIT_REFUSED;
    }
    return code;
}
