# The instructions of a profile of callgrind: all of them under a name, and what each crate took itself, without the
# little ones. The libraries of C and what has no name are crates here.
function crate(function_name,    words) {
    # `<a::b as c::d>::e` is of a; `<&a::b …` and `<[a::b] …` as well.
    sub(/^<[&*[(]*(mut |const |dyn )?/, "", function_name)
    split(function_name, words, /::/)
    if (function_name !~ /::/) return "C"
    if (words[1] == "bottlec") return words[1] "::" words[2]
    return words[1]
}
/^fn=\(/ {
    id = substr($1, 4)
    if (NF > 1) { name_of = $0; sub(/^[^ ]* /, "", name_of); names[id] = name_of }
    here = id
    next
}
/^c?fn=\(|^cfn=/ {
    id = substr($1, 5)
    if (NF > 1) { name_of = $0; sub(/^[^ ]* /, "", name_of); names[id] = name_of }
    next
}
# What is called counts where it is.
/^calls=/ { skip = 1; next }
/^[+*0-9-]/ {
    if (!skip) { self[here] += $2; all += $2 }
    skip = 0
}
END {
    for (id in self) crates[crate(names[id])] += self[id]
    printf "%d %s\n", all, name
    for (part in crates)
        if (crates[part] > all / 100) printf "  %d %s\n", crates[part], part | "sort -k 2"
}
