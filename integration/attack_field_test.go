package integration

import "fmt"

// fieldAttacks are about the syntax of header fields, and about fields that are
// to take something away from what the proxy says.
func fieldAttacks() []attempt {
	rows := []attempt{
		passed("5", "a field without a value", getOf("X:"), "GET /"),
		passed("5", "a colon in a value", getOf("X: : y:"), "GET /"),
		passed("5", "a tab in a value", getOf("X: a\tb"), "GET /"),
		passed("9110 5.5", "a value that is not ASCII", getOf("X: \u00e9\xff\x80"), "GET /"),
		passed("9110 5.1", "a name of symbols", getOf("!#$%&'*+-.^_`|~: y"), "GET /"),
		passed("9110 7.6.1", "Connection names what the proxy adds", getOf("Connection: X-Forwarded-For, X-Request-ID, X-Kamal-Target"), "GET /"),
		passed("9110 7.6.1", "Connection names Host", getOf("Connection: Host"), "GET /"),
		passed("9110 7.6.1", "Connection names Connection", getOf("Connection: Connection"), "GET /"),
		passed("9110 7.6.1", "a Proxy-Connection", getOf("Proxy-Connection: keep-alive"), "GET /"),
		passed("9110 7.6.1", "a Keep-Alive", getOf("Keep-Alive: timeout=1000000, max=0"), "GET /"),
		passed("9110 5.1", "what the proxy adds, with underscores", getOf("X_Forwarded_For: 1.2.3.4\r\nX_Forwarded_Proto: https\r\nX_Request_Id: x"), "GET /"),
		{name: "close among others", section: "9.6", bytes: getOf("Connection: x, CLOSE ,y") + "{hidden}", answers: "200", reaches: "GET /"},
		{name: "close in the second Connection", section: "9.6", bytes: getOf("Connection: keep-alive\r\nConnection: close") + "{hidden}", answers: "200", reaches: "GET /"},
		{name: "close and keep-alive", section: "9.6", bytes: getOf("Connection: close, keep-alive") + "{hidden}", answers: "200", reaches: "GET /"},
	}
	for _, c := range []struct{ section, name, field string }{
		{"5.1", "a blank before the colon", "X : y"},
		{"5.1", "a tab before the colon", "X\t: y"},
		{"5.1", "a blank before the colon of a length", "Content-Length : 5"},
		{"5.1", "a tab before the colon of a length", "Content-Length\t: 5"},
		{"5.1", "no name", ": y"},
		{"5.1", "no name and no value", ":"},
		{"5.1", "no colon", "X"},
		{"5.1", "a name with a blank", "X Y: z"},
		{"5.1", "a name with quotation marks", `"X": y`},
		{"5.1", "a name with parentheses", "X(c): y"},
		{"5.1", "a name with a slash", "X/Y: z"},
		{"5.1", "a name with an at sign", "X@Y: z"},
		{"5.1", "a name with a bracket", "X[0]: z"},
		{"5.1", "a name with a NUL", "X\x00: y"},
		{"5.1", "a name that is not ASCII", "X\u00e9: y"},
		{"5.1", "a name with 0xff", "X\xff: y"},
		{"5.2", "a fold", "X: y\r\n z"},
		{"5.2", "a fold with a tab", "X: y\r\n\tz"},
		{"5.2", "a fold of nothing", "X: y\r\n "},
		{"5.2", "a fold before a colon", "X\r\n : y"},
		{"5.2", "a fold of a length", "Content-Length: 4\r\n 4"},
		{"5.2", "a fold that is a length", "X: y\r\n Content-Length: 44"},
		{"5.2", "a fold that is a Host", "X: y\r\n Host: elsewhere.example"},
		{"2.2", "a bare LF behind a field", "X: y\nContent-Length: 44"},
		{"2.2", "a bare CR behind a field", "X: y\rContent-Length: 44"},
		{"2.2", "a bare CR at the end of a value", "X: y\r\r\nContent-Length: 0"},
		{"2.2", "two LF in place of the empty line", "X: y\n\nGET /hidden HTTP/1.1"},
		{"2.2", "LF CR LF in place of the empty line", "X: y\n\r\nGET /hidden HTTP/1.1"},
		{"2.2", "CR LF LF in place of the empty line", "X: y\r\n\nGET /hidden HTTP/1.1"},
		{"2.2", "two CR in place of the empty line", "X: y\r\rGET /hidden HTTP/1.1"},
		{"2.2", "a blank in the empty line", "X: y\r\n \r\nGET /hidden HTTP/1.1"},
	} {
		rows = append(rows, refused("400", c.section, c.name, getOf(c.field)+"{hidden}"))
	}
	for c := range 0x20 {
		switch c {
		case '\t', '\n':
			continue
		}
		rows = append(rows,
			refused("400", "9110 5.5", fmt.Sprintf("%#02x in a value", c), getOf(fmt.Sprintf("X: a%cb", c))+"{hidden}"),
			refused("400", "9110 5.1", fmt.Sprintf("%#02x in a name", c), getOf(fmt.Sprintf("X%cY: z", c))+"{hidden}"))
	}
	return rows
}
