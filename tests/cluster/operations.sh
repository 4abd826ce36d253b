operations() {
    say "debug: $scratch"
    while :; do sleep 3600 & wait $!; done
}
