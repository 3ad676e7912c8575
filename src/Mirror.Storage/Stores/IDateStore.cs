using System.Globalization;

namespace Mirror.Storage.Stores;

/// <summary>
/// Dates that the server notes for later, such as when it first saw a manifest at upstream. They outlive the process, and all processes
/// with one store share them. A date is a file's content, because the date of a file changes when the file is copied.
/// </summary>
public interface IDateStore
{
    /// <summary>A stored date; null if there is none, or if the stored text is no date.</summary>
    /// <param name="path">From <see cref="RegistryLayout"/>, below <see cref="RegistryLayout.Dates"/>.</param>
    ValueTask<DateTimeOffset?> ReadAsync(string path, CancellationToken cancellationToken);

    /// <summary>Notes a date in place of the one that is there.</summary>
    /// <exception cref="IOException">The store takes no writes; also as <see cref="UnauthorizedAccessException"/>.</exception>
    ValueTask WriteAsync(string path, DateTimeOffset noted, CancellationToken cancellationToken);

    /// <summary>Forgets a date, if it is there.</summary>
    ValueTask DeleteAsync(string path, CancellationToken cancellationToken);

    /// <summary>The paths of the dates below a folder, in no particular order.</summary>
    /// <param name="folder"><see cref="RegistryLayout.Dates"/>, or a folder below it.</param>
    IAsyncEnumerable<string> ListAsync(string folder, CancellationToken cancellationToken);
}

/// <summary>How a date is written.</summary>
internal static class NotedDate
{
    public static byte[] Bytes(DateTimeOffset date) =>
        System.Text.Encoding.ASCII.GetBytes(date.ToUniversalTime().ToString("O", CultureInfo.InvariantCulture));

    public static DateTimeOffset? Parse(string? text) =>
        DateTimeOffset.TryParseExact(text, "O", CultureInfo.InvariantCulture, DateTimeStyles.None, out var date) ? date : null;
}
