#!/bin/sh
# Runs every fuzz target in turn for the time given. Without the minimiser's
# limit, go test looks as if it hung at "0/sec".
set -eu
time="$1"
for file in $(git ls-files '*_test.go' | xargs grep -l '^func Fuzz'); do
	package="./$(dirname "$file")"
	for target in $(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$file"); do
		echo "== $package $target"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 1x "$package"
	done
done
