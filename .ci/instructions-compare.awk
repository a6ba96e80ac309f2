# Compares two lists of counts, the record first: each run's number, with its parts on indented lines below.
/^#/ { next }
/^[0-9]/ { run = $2; if (FNR == NR) old[run] = $1; else { new[run] = $1; order[++runs] = run } next }
FNR == NR { old_part[run, $2] = $1; next }
{ new_part[run, $2] = $1; parts[run] = parts[run] " " $2 }
END {
    for (number = 1; number <= runs; number++) {
        run = order[number]
        if (!(run in old)) { print "instructions: the record has no " run; bad = 1; continue }
        change = (new[run] / old[run] - 1) * 100
        printf "%-24s %12d instructions, %+.1f %% of the recorded %d\n", run, new[run], change, old[run]
        if (change <= tolerance && change >= -tolerance) continue
        bad = 1
        if (change > 0) print "  more than " tolerance " % above the record. What grew, itself:"
        else print "  more than " tolerance " % below the record: well done; renew it, so that it stays. What shrank, itself:"
        count = split(parts[run], names, " ")
        for (i = 1; i <= count; i++) {
            difference = new_part[run, names[i]] - old_part[run, names[i]]
            if (difference * change > 0 && difference * difference * 10000 > new[run] * new[run])
                printf "    %+d %s\n", difference, names[i]
        }
    }
    if (bad) {
        print "Renew the record if this is meant: UPDATE=1 .ci/instructions " program
        exit 1
    }
}
