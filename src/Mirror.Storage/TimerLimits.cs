namespace Mirror.Storage;

/// <summary>Configured times, as a timer of .NET takes them: it refuses 50 days and more.</summary>
public static class TimerLimits
{
    private static readonly TimeSpan Longest = TimeSpan.FromDays(45);

    extension(TimeSpan time)
    {
        /// <summary>The time, but 45 days at most.</summary>
        public TimeSpan ForTimer => time < Longest ? time : Longest;
    }
}
