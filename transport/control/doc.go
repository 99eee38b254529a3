// Package control is the line between the command and the daemon: HTTP and
// JSON on a unix socket that only the daemon's user and root may open.
//
// An order is one POST with one JSON object. A field is named as its flag is,
// with _ for -, and has the flag's default when it is left out; durations are
// nanoseconds, as in the state file. What is wrong with an order is said with
// status 400 before anything has happened. An accepted order is answered with
// status 200 and a stream of JSON lines:
//
//	{"progress":{"stage":"healthy","target":"web-1:3000","elapsed":1200000}}
//	{"done":true}
//
// The last line is either {"done":true} or {"error":"…"}. An accepted order
// goes on when its caller leaves. An error with "moved":true says that another
// process has taken the daemon's place meanwhile, has not been given the order,
// and takes it on a new connection.
//
//	POST /v1/deploy          Deploy
//	POST /v1/remove          Remove
//	POST /v1/pause           Pause
//	POST /v1/stop            Stop
//	POST /v1/resume          Resume
//	POST /v1/rollout/deploy  RolloutDeploy
//	POST /v1/rollout/set     RolloutSet
//	POST /v1/rollout/stop    RolloutStop
//	GET  /v1/list            an array of Row
//	POST /v1/upgrade         Upgrade
package control
