namespace Mirror.Telemetry;

/// <summary>One event on its way to be a line.</summary>
/// <param name="Level">logrus' word: <c>trace debug info warning error fatal</c>.</param>
/// <param name="Fields">In the order they are to be read; no two share a key.</param>
internal readonly record struct LogEvent(
    DateTime Utc, string Level, string Message, IReadOnlyList<KeyValuePair<string, object>> Fields);
