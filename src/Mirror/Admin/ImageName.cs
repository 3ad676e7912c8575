using Mirror.PullThrough;
using Mirror.Registry;
using Mirror.Storage;

namespace Mirror.Admin;

/// <summary>An image as people name it: <c>nginx</c>, <c>nginx:1.27</c>, <c>ghcr.io/owner/app@sha256:...</c>.</summary>
/// <param name="Name">The repository, by the name it is stored under.</param>
/// <param name="Reference">Null where only a repository is named.</param>
public readonly record struct ImageName(RepositoryName Name, Reference? Reference)
{
    /// <summary>As <see cref="Parse"/> reads it: <c>name</c>, <c>name:tag</c> or <c>name@digest</c>.</summary>
    public override string ToString() =>
        Reference is not { } reference ? $"{Name}" : $"{Name}{(reference.IsTag(out _, out _) ? ':' : '@')}{reference}";

    /// <exception cref="RegistryException">The text names no image.</exception>
    public static ImageName Parse(string? text, RepositoryResolver repositories)
    {
        var image = Read(text);
        return image with { Name = repositories[image.Name].Name };
    }

    /// <summary>As <see cref="Parse"/>, with the name as it was written.</summary>
    /// <exception cref="RegistryException">The text names no image.</exception>
    public static ImageName Read(string? text)
    {
        text ??= "";
        var at = text.IndexOf('@', StringComparison.Ordinal);
        if (at < 0 && text.LastIndexOf(':') is var colon && colon > text.LastIndexOf('/'))
            at = colon;
        var (name, last) = at < 0 ? (text, null) : (text[..at], text[(at + 1)..]);
        Reference? reference = null;
        if (last is not null)
            reference = Storage.Reference.TryParse(last, out var parsed) ? parsed
                : throw new RegistryException(RegistryError.TagInvalid, $"'{last}' is neither a tag nor a digest");
        if (!RepositoryName.TryParse(name, out var repository))
            throw new RegistryException(RegistryError.NameInvalid, $"'{name}' is not the name of a repository");
        return new(repository, reference);
    }
}
