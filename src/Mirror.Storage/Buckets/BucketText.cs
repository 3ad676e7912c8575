using System.Text;

namespace Mirror.Storage.Buckets;

/// <summary>Reads small objects as text.</summary>
internal static class BucketText
{
    // A referrer's descriptor has the annotations of its manifest. Nothing that this program writes as text is longer.
    private const int MaxBytes = 8 << 20;

    /// <summary>Reads the text of an object. The memory grows with the bytes that come. Longer objects count as absent: null.</summary>
    public static async Task<string?> ReadAsync(Stream body, CancellationToken cancellationToken)
    {
        using var text = new MemoryStream();
        var buffer = new byte[4096];
        while (await body.ReadAsync(buffer, cancellationToken) is > 0 and var read)
        {
            if (text.Length + read > MaxBytes)
                return null;
            text.Write(buffer, 0, read);
        }
        return Encoding.UTF8.GetString(text.GetBuffer(), 0, (int)text.Length);
    }
}
