package integration

import (
	"fmt"
	"strings"
)

// lineAttacks are about the request line: method, target and version.
func lineAttacks() []attempt {
	const fields = "\r\nHost: {me}\r\n\r\n{hidden}"
	rows := []attempt{
		passed("2.2", "an empty line before", "\r\nGET / HTTP/1.1\r\nHost: {me}\r\n\r\n", "GET /"),
		passed("9110 9.1", "a method in small letters is another one", "get / HTTP/1.1\r\nHost: {me}\r\n\r\n", "get /"),
		passed("9110 9.1", "a method of symbols", "!#$%&'*+-.^_`|~ / HTTP/1.1\r\nHost: {me}\r\n\r\n", "!#$%&'*+-.^_`|~ /"),
		passed("3.2.1", "a path that begins with //", "GET //elsewhere.example/ HTTP/1.1\r\nHost: {me}\r\n\r\n", "GET //elsewhere.example/"),
		passed("3.2.1", "a path that goes up", "GET /a/../../b HTTP/1.1\r\nHost: {me}\r\n\r\n", "GET /a/../../b"),
		passed("3.2.1", "a path with what must be escaped", "GET /{}|\\^`\"<> HTTP/1.1\r\nHost: {me}\r\n\r\n", "GET /{}|\\^`\"<>"),
		passed("3.2.1", "a path with a broken escape", "GET /%zz%2 HTTP/1.1\r\nHost: {me}\r\n\r\n", "GET /%zz%2"),
		passed("3.2.1", "a path with an escaped line end", "GET /%0d%0aX:%20y HTTP/1.1\r\nHost: {me}\r\n\r\n", "GET /%0d%0aX:%20y"),
		passed("3.2.1", "a path with an escaped NUL", "GET /%00 HTTP/1.1\r\nHost: {me}\r\n\r\n", "GET /%00"),
		passed("3.2.1", "a path that is not ASCII", "GET /\u00e9\xff HTTP/1.1\r\nHost: {me}\r\n\r\n", "GET /\u00e9\xff"),
		passed("3.2.1", "a fragment", "GET /a#b HTTP/1.1\r\nHost: {me}\r\n\r\n", "GET /a#b"),
		passed("3.2.1", "a query with everything", "GET /?a=b;c&d=/?:@ HTTP/1.1\r\nHost: {me}\r\n\r\n", "GET /?a=b;c&d=/?:@"),
		{name: "HTTP/1.0", section: "9110 2.5", bytes: "GET / HTTP/1.0\r\nHost: {me}\r\n\r\n{hidden}", answers: "200", reaches: "GET /"},
		{name: "HTTP/1.0 with a length", section: "9110 2.5", bytes: "POST / HTTP/1.0\r\nHost: {me}\r\nContent-Length: 3\r\n\r\nabc{hidden}", answers: "200", reaches: "POST / [abc]"},
	}
	for _, c := range []struct{ status, section, name, line string }{
		{"400", "3", "nothing but a blank", " "},
		{"400", "3", "a method alone", "GET"},
		{"400", "3", "a method and a blank", "GET "},
		{"400", "3", "HTTP/0.9", "GET /"},
		{"400", "3", "HTTP/0.9 with a blank behind", "GET / "},
		{"400", "3", "no target", "GET HTTP/1.1"},
		{"400", "3", "no target between blanks", "GET  HTTP/1.1"},
		{"400", "3", "no method", " / HTTP/1.1"},
		{"400", "3", "a blank before the method", " GET / HTTP/1.1"},
		{"400", "3", "two blanks behind the method", "GET  / HTTP/1.1"},
		{"400", "3", "two blanks before the version", "GET /  HTTP/1.1"},
		{"400", "3", "a blank behind the version", "GET / HTTP/1.1 "},
		{"400", "3", "a tab behind the method", "GET\t/ HTTP/1.1"},
		{"400", "3", "a tab before the version", "GET /\tHTTP/1.1"},
		{"400", "3", "tabs in place of blanks", "GET\t/\tHTTP/1.1"},
		{"400", "3", "a vertical tab for a blank", "GET\v/\vHTTP/1.1"},
		{"400", "3", "a bare CR for a blank", "GET\r/ HTTP/1.1"},
		{"400", "3", "a word too many", "GET / x HTTP/1.1"},
		{"400", "3", "a request line in a request line", "GET / HTTP/1.1 GET /hidden HTTP/1.1"},
		{"400", "3", "a bare LF behind it", "GET / HTTP/1.1\nX: y"},
		{"400", "3", "a bare CR behind it", "GET / HTTP/1.1\rX: y"},
		{"400", "3", "two CR behind it", "GET / HTTP/1.1\r"},
		{"400", "3", "a fold behind it", "GET / HTTP/1.1\r\n X: y"},
		{"400", "2.2", "two empty lines before", "\r\n\r\nGET / HTTP/1.1"},
		{"400", "2.2", "a bare LF before", "\nGET / HTTP/1.1"},
		{"400", "2.2", "a bare CR before", "\rGET / HTTP/1.1"},
		{"400", "2.2", "a NUL before", "\x00GET / HTTP/1.1"},
		{"400", "2.2", "a byte order mark before", "\ufeffGET / HTTP/1.1"},
		{"400", "3.1", "a colon in the method", "GE:T / HTTP/1.1"},
		{"400", "3.1", "a slash in the method", "GET/ / HTTP/1.1"},
		{"400", "3.1", "a method in quotation marks", "\"GET\" / HTTP/1.1"},
		{"400", "3.1", "a method with a NUL", "GE\x00T / HTTP/1.1"},
		{"400", "3.1", "a method that is not ASCII", "G\u00c9T / HTTP/1.1"},
		{"400", "2.3", "a version in small letters", "GET / http/1.1"},
		{"400", "2.3", "a version of one number", "GET / HTTP/1"},
		{"400", "2.3", "a version with a comma", "GET / HTTP/1,1"},
		{"400", "2.3", "a version of three numbers", "GET / HTTP/1.1.1"},
		{"400", "2.3", "a version with zeros", "GET / HTTP/01.1"},
		{"400", "2.3", "a version with zeros behind", "GET / HTTP/1.01"},
		{"400", "2.3", "a version with a letter", "GET / HTTP/1.x"},
		{"400", "2.3", "a version with a sign", "GET / HTTP/+1.1"},
		{"400", "2.3", "a version of another protocol", "GET / HTCPCP/1.0"},
		{"400", "2.3", "a version without a slash", "GET / HTTP1.1"},
		{"400", "2.3", "a version of digits of another script", "GET / HTTP/1.\u0661"},
		{"505", "9110 2.5", "HTTP/0.9 by its name", "GET / HTTP/0.9"},
		{"505", "9110 2.5", "HTTP/1.2", "GET / HTTP/1.2"},
		{"505", "9110 2.5", "HTTP/1.9", "GET / HTTP/1.9"},
		{"505", "9110 2.5", "HTTP/2.0", "GET / HTTP/2.0"},
		{"505", "9110 2.5", "HTTP/9.9", "GET / HTTP/9.9"},
		{"400", "3.2", "a target without a slash", "GET index.html HTTP/1.1"},
		{"400", "3.2", "a target that is a query", "GET ?a=b HTTP/1.1"},
		{"400", "3.2", "a target that is a backslash", "GET \\ HTTP/1.1"},
		{"400", "3.2", "a target with a NUL", "GET /\x00 HTTP/1.1"},
		{"400", "3.2", "a target with a bare LF", "GET /\nHost: x HTTP/1.1"},
		{"400", "3.2", "a target with a DEL", "GET /\x7f HTTP/1.1"},
		{"400", "3.2", "a target with a blank", "GET /a b HTTP/1.1"},
		{"400", "3.2.3", "an authority", "GET {me}:80 HTTP/1.1"},
		{"400", "3.2.3", "a host alone", "GET {me} HTTP/1.1"},
		{"400", "3.2.4", "* for GET", "GET * HTTP/1.1"},
		{"400", "3.2.4", "* and more for OPTIONS", "OPTIONS *x HTTP/1.1"},
		{"400", "3.2.4", "* with a query", "OPTIONS *?x HTTP/1.1"},
	} {
		rows = append(rows, refused(c.status, c.section, c.name, c.line+fields))
	}
	for c := range 0x20 {
		if c == '\n' {
			continue
		}
		rows = append(rows, refused("400", "3.2", fmt.Sprintf("%#02x in the target", c), fmt.Sprintf("GET /a%cb HTTP/1.1", c)+fields))
	}
	return rows
}

// limitAttacks are heads without measure.
func limitAttacks() []attempt {
	long := func(n int) string { return strings.Repeat("a", n) }
	return []attempt{
		passed("3", "a target of 8,000 bytes", "GET /"+long(8000)+" HTTP/1.1\r\nHost: {me}\r\n\r\n", "GET /"+long(8000)),
		passed("5.4", "a field of 16 KiB", getOf("X: "+long(16<<10)), "GET /"),
		passed("5.4", "a hundred fields", getOf(strings.Repeat("X: y\r\n", 100)+"X: y"), "GET /"),
		refused("431", "3", "a target of 300 KiB", "GET /"+long(300<<10)+" HTTP/1.1\r\nHost: {me}\r\n\r\n"),
		refused("431", "3", "a method of 300 KiB", long(300<<10)+" / HTTP/1.1\r\nHost: {me}\r\n\r\n"),
		refused("431", "3", "a request line that does not end", "GET /"+long(300<<10)),
		refused("431", "5.4", "a field of 300 KiB", getOf("X: "+long(300<<10))),
		refused("431", "5.4", "a name of 300 KiB", getOf(long(300<<10)+": y")),
		refused("431", "5.4", "a field that does not end", "GET / HTTP/1.1\r\nHost: {me}\r\nX: "+long(300<<10)),
		refused("431", "5.4", "a thousand fields of 300 bytes", getOf(strings.Repeat("X: "+long(300)+"\r\n", 1000)+"X: y")),
		refused("431", "5.4", "five thousand fields", getOf(strings.Repeat("X: y\r\n", 5000)+"X: y")),
		refused("431", "5.4", "five thousand fields of nothing", getOf(strings.Repeat("X:\r\n", 5000)+"X:")),
		refused("431", "5.4", "a head that does not end", "GET / HTTP/1.1\r\nHost: {me}\r\n"+strings.Repeat("X: y\r\n", 60000)),
		refused("400", "5.4", "a thousand Hosts", "GET / HTTP/1.1\r\n"+strings.Repeat("Host: {me}\r\n", 1000)+"\r\n"),
		refused("431", "5.4", "two thousand Hosts", "GET / HTTP/1.1\r\n"+strings.Repeat("Host: {me}\r\n", 2000)+"\r\n"),
	}
}
