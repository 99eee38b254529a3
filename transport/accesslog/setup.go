package accesslog

import (
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/rs/zerolog"
)

// The names and formats are those of the access log. zerolog has them as
// globals, which must not change once there are loggers.
func init() {
	zerolog.TimestampFieldName = "time"
	zerolog.LevelFieldName = "level"
	zerolog.MessageFieldName = "msg"
	zerolog.TimeFieldFormat = time.RFC3339Nano
	zerolog.LevelFieldMarshalFunc = func(level zerolog.Level) string { return strings.ToUpper(level.String()) }
}

// Setup makes the process's logger, whose lines are JSON with time, level and
// msg, and makes log/slog's default, and with it that of log, write there too.
// It is called once, by main; out is usually the Writer of the access log.
func Setup(out io.Writer, debug bool) zerolog.Logger {
	level := zerolog.InfoLevel
	if debug {
		level = zerolog.DebugLevel
	}
	log := zerolog.New(out).Level(level).With().Timestamp().Logger()
	slog.SetDefault(slog.New(zerolog.NewSlogHandler(log)))
	return log
}
